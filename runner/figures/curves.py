"""Learning curves: those of one run, and those of the best configurations of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runner.figures import scales, style
from runner.figures.scales import SPLITS, Line, Measure
from runner.figures.style import MUTED, PALETTE, Array, Look, house_style
from runner.system.text import elide
from runner.training.statistics import half_width

History = Sequence[tuple[int, Mapping[str, float]]]
Curve = Sequence[tuple[int, float]]

# Validation is dashed and drawn over training, so that both show where they coincide.
_LOOKS: dict[str, Look] = {
    "train": {"color": PALETTE[0], "linewidth": 1.8},
    "val": {"color": PALETTE[1], "linewidth": 1.6, "linestyle": (0, (3.5, 1.2))},
}
# Curves of a sweep overlap, so they differ in their dashes too.
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (2.5, 1.5)))
# Up to this many evaluations get a marker each.
_FEW = 12


@house_style()
def draw_learning_curve(
    history: History, best_step: int | None, path: Path, title: str = ""
) -> Figure:
    """Draw the training and validation values of each metric against the step, as a PNG.

    `history` has a step and its metrics, such as "train/loss", for each evaluation; values may be
    NaN or infinite, and entries may lack some. Early stopping kept the weights of `best_step`.
    """
    steps = np.array([step for step, _ in history], dtype=np.float64)
    curves: dict[str, dict[str, Array]] = {}
    for name in dict.fromkeys(name for _, values in history for name in values):
        split, _, metric = name.partition("/")
        if split in _LOOKS:
            column = np.array([values.get(name, np.nan) for _, values in history], dtype=np.float64)
            curves.setdefault(metric, {})[split] = Measure(metric).in_unit(column)

    heading = f"{elide(title, 40)}: learning curve" if title else "Learning curve"
    figure, panels = style.new_figure(5.5, 1.7, max(1, len(curves)))
    if not curves:
        panels[0].set_axis_off()
        return style.save(figure, path, heading, "nothing was evaluated")
    for axes, (metric, by_split) in zip(panels, curves.items(), strict=True):
        _draw_metric(axes, steps, by_split, Measure(metric))
    note = ""
    if best_step is not None:
        note = f"dotted: the best step, {best_step:,}, whose weights were kept"
        for axes in panels:
            axes.axvline(best_step, color=MUTED, linewidth=1.0, linestyle=(0, (1, 1.5)))
    scales.scale_steps(panels[-1])
    return style.save(figure, path, heading, note)


def _draw_metric(axes: Axes, steps: Array, by_split: Mapping[str, Array], measure: Measure) -> None:
    axes.set_title(measure.label, color=MUTED)
    drawn = {split: by_split[split] for split in _LOOKS if split in by_split}
    lines = []
    for split, values in drawn.items():
        marker = "o" if np.isfinite(values).sum() <= _FEW else ""
        lines += axes.plot(steps, values, marker=marker, markersize=3.5, **_LOOKS[split])
    style.legend_beside(axes, lines, [SPLITS[split] for split in drawn])
    values = np.stack([*drawn.values()])
    if np.isfinite(values).any():
        scales.scale_values(axes, measure.view([values.ravel()], np.inf), measure, log_ratio=30.0)
    else:
        axes.set_yticks([])
    # A missing value leaves a gap too.
    broken = np.isnan(values).any(axis=0)
    if broken.any():
        words = f"not finite at step {int(steps[broken][0]):,}"
        axes.set_title(words, loc="right", color=PALETTE[1])


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
    bands: Sequence[Line], measure: Measure, path: Path, title: str, *notes: str
) -> Figure:
    """Draw mean curves over their bands against the step, as a PNG.

    There are at most five bands, the best first; one of them has a finite value. All curves begin
    far from where they end: the frame leaves their beginning out where it takes half of the range.
    """
    figure, (axes,) = style.new_figure(5.6, 3.4)
    axes.set_title(measure.axis_label)
    view = measure.view([band.mean for band in bands], room=2.0)
    ends = np.array([end[-1] for band in bands for end in (band.low, band.high)])
    scales.scale_values(axes, scales.with_intervals(view, ends), measure, log_ratio=4.0)
    looks = list(zip(bands, PALETTE, _DASHES, strict=False))
    lines = []
    for band, color, dashes in reversed(looks):  # the best is drawn last, on top
        axes.fill_between(band.x, band.low, band.high, color=color, alpha=0.15, linewidth=0)
        look: Look = {"color": color, "linestyle": dashes, "linewidth": 1.6, "markersize": 3.5}
        marker = "o" if np.isfinite(band.mean).sum() <= _FEW else ""
        lines += axes.plot(band.x, band.mean, marker=marker, **look)
    scales.scale_steps(axes)
    if len(bands) > 1:
        style.legend_beside(axes, lines[::-1], [band.label for band in bands])
    low, high = axes.get_ylim()
    if any(((band.mean < low) | (band.mean > high)).any() for band in bands):
        notes += ("the frame leaves out steps that would hide the differences",)
    return style.save(figure, path, title, *notes)


@house_style()
def draw_rungs(
    curves: Sequence[tuple[Curve, bool]], measure: Measure, path: Path, title: str, *notes: str
) -> Figure:
    """Draw the curve of each run of a search against the step, as a PNG.

    Each comes with whether it was pruned; its line ends there in a dot. One has a finite value.
    """
    figure, (axes,) = style.new_figure(5.6, 3.4)
    axes.set_title(measure.axis_label)
    lines = [
        (steps, measure.in_unit(values), is_pruned)
        for curve, is_pruned in curves
        for steps, values in [np.array(curve, dtype=np.float64).reshape(-1, 2).T]
    ]
    view = measure.view([values for _, values, _ in lines], room=2.0)
    scales.scale_values(axes, view, measure, log_ratio=4.0)
    for steps, values, is_pruned in sorted(lines, key=lambda line: not line[2]):
        look: Look = {"color": MUTED if is_pruned else PALETTE[0], "linewidth": 0.7}
        axes.plot(steps, values, alpha=0.4 if is_pruned else 0.8, **look)
        if is_pruned:
            axes.plot(steps[-1:], values[-1:], marker="o", markersize=2.0, **look)
    scales.scale_steps(axes)
    return style.save(figure, path, title, *notes)
