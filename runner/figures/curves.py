"""Learning curves: those of one run, and those of the best configurations of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runner.figures import scales, style
from runner.figures.scales import SPLITS, Line, Measure
from runner.figures.style import MUTED, PALETTE, Array, house_style
from runner.system.text import elide
from runner.training.statistics import half_width

History = Sequence[tuple[int, Mapping[str, float]]]
Curve = Sequence[tuple[int, float]]

# Validation is broken and lies over training, so that both show where they coincide.
_LOOKS: dict[str, dict[str, Any]] = {
    "train": {"color": PALETTE[0], "linewidth": 1.8},
    "val": {"color": PALETTE[1], "linewidth": 1.6, "linestyle": (0, (3.5, 1.2))},
}
# The curves of a sweep lie over each other: they differ in their dashes too.
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (2.5, 1.5)))
# So few evaluations are shown as points too.
_FEW = 12
# The interval of a mean of fewer seeds says little: their smallest and largest value say more.
FEW_SEEDS = 5
# Of each curve of a sweep, this share of its steps is in view for certain.
_IN_VIEW = 0.75


@house_style()
def draw_learning_curve(
    history: History, best_step: int | None, path: Path, title: str = ""
) -> Figure:
    """Draw the training and validation values of each metric against the step, as a PNG.

    Parameters
    ----------
    history : sequence of (step, {"train/loss": value, ...})
        One entry per evaluation; values may be NaN or infinite, and entries may lack some.
    best_step : int or None
        The step whose weights early stopping kept.
    path : Path
    title : str
        The name of the run.
    """
    steps = np.array([step for step, _ in history], dtype=np.float64)
    curves: dict[str, dict[str, Array]] = {}
    for name in dict.fromkeys(name for _, values in history for name in values):
        split, _, metric = name.partition("/")
        if split in _LOOKS:
            column = [values.get(name, np.nan) for _, values in history]
            curves.setdefault(metric, {})[split] = np.array(column, dtype=np.float64)

    figure, panels = style.new_figure(5.5, 1.7, max(1, len(curves)))
    notes = ["solid: on training rows", "dashed: on validation rows"]
    if not curves:
        panels[0].set_axis_off()
        notes = ["nothing was evaluated"]
    if best_step is not None and curves:
        notes.append(f"dotted: the best step, {best_step:,}, whose weights were kept")
        for axes in panels:
            axes.axvline(best_step, color=MUTED, linewidth=1.0, linestyle=(0, (1, 1.5)))
    for axes, (metric, by_split) in zip(panels, curves.items(), strict=False):
        _draw_metric(axes, steps, by_split, Measure(metric))
    if curves:
        scales.scale_steps(panels[-1])
    heading = f"{elide(title, 40)}: learning curve" if title else "Learning curve"
    return style.save(figure, path, heading, "; ".join(notes))


def _draw_metric(axes: Axes, steps: Array, by_split: Mapping[str, Array], measure: Measure) -> None:
    drawn = {split: measure.in_unit(by_split[split]) for split in _LOOKS if split in by_split}
    for split, values in drawn.items():
        marker = "o" if np.isfinite(values).sum() <= _FEW else ""
        axes.plot(steps, values, marker=marker, markersize=3.5, **_LOOKS[split])
    scales.scale_values(axes, np.concatenate(list(drawn.values())), measure)
    axes.set_title(measure.label, color=MUTED)
    # A value that is absent leaves a gap too.
    broken = np.isnan([*drawn.values()]).any(axis=0)
    if broken.any():
        words = f"not finite at step {int(steps[broken][0]):,}"
        axes.set_title(words, loc="right", color=PALETTE[1])
    named = {SPLITS[split]: (values, _LOOKS[split]["color"]) for split, values in drawn.items()}
    style.label_lines(axes, [(name, steps, *rest) for name, rest in named.items()])


def sum_up(label: str, curves: Sequence[Curve], measure: Measure, interval: bool) -> Line:
    """Average the curves of the seeds at every step that one of them has.

    A seed that stopped early keeps its last value: were it left out, the mean would go on over
    those seeds alone that were still getting better. Between its evaluations a curve is straight.

    `curves` holds the (step, value) pairs of each seed, at least one; steps ascend. With
    `interval` the band is the 95 % interval of the mean (Student's t), or else it reaches from the
    smallest to the largest value.
    """
    seeds = [np.array(curve, dtype=np.float64).reshape(-1, 2).T for curve in curves]
    steps = np.unique(np.concatenate([at for at, _ in seeds]))
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.stack(
            [np.interp(steps, at, measure.in_unit(metric), left=np.nan) for at, metric in seeds]
        )
        mean = values.mean(axis=0)
        if interval and len(values) > 1:
            half = half_width(len(values), values.std(axis=0, ddof=1))
            low, high = mean - half, mean + half
        else:
            low, high = values.min(axis=0), values.max(axis=0)
    return Line(label, steps, mean, low, high)


@house_style()
def draw_bands(
    bands: Sequence[Line], measure: Measure, path: Path, *, title: str = "", subtitle: str = ""
) -> Figure:
    """Draw mean curves over their bands against the step, as a PNG.

    There are at most five bands, the best first; one of them has a finite value.
    """
    figure, (axes,) = style.new_figure(5.6, 3.4)
    means = in_view(bands, measure)
    ends = np.array([end[-1] for band in bands for end in (band.low, band.high)])
    visible = scales.with_intervals(means, ends)
    scales.scale_values(axes, visible, measure, log_ratio=4.0 if (visible > 0.0).all() else np.inf)
    named = list(zip(bands, PALETTE, _DASHES, strict=False))
    for band, color, dashes in reversed(named):  # the best lies on top
        axes.fill_between(band.x, band.low, band.high, color=color, alpha=0.15, linewidth=0)
        marker = "o" if np.isfinite(band.mean).sum() <= _FEW else ""
        axes.plot(
            band.x, band.mean, color=color, linestyle=dashes, linewidth=1.6, marker=marker,
            markersize=3.5,
        )  # fmt: skip
    scales.scale_steps(axes)
    axes.set_title(measure.axis_label)
    if len(named) > 1:
        style.label_lines(
            axes, [(band.label, band.x, band.mean, color) for band, color, _ in named]
        )
    low, high = axes.get_ylim()
    if any(((band.mean < low) | (band.mean > high)).any() for band in bands):
        subtitle += "; the frame leaves out steps that would hide the differences"
    return style.save(figure, path, title, subtitle)


def in_view(bands: Sequence[Line], measure: Measure) -> Array:
    """Choose the means that must be in view, so that the curves can be told apart.

    All curves begin far from where they end, and there they differ. Where the worst quarter of
    each takes more than half of the range, it may lie beyond the frame.
    """
    means = np.concatenate([band.mean for band in bands])
    everything = means[measure.plottable(means)]
    better = []
    for band in bands:
        finite = np.isfinite(band.mean)
        if finite.any():
            steps = band.x[finite]
            even = np.interp(np.linspace(steps[0], steps[-1], 101), steps, band.mean[finite])
            ordered = np.sort(-even if measure.higher_is_better else even)
            better.append(ordered[: round(_IN_VIEW * len(ordered))])
    chosen = np.concatenate(better) * (-1.0 if measure.higher_is_better else 1.0)
    chosen = chosen[measure.plottable(chosen)]
    return chosen if np.ptp(chosen) < np.ptp(everything) / 2 else everything
