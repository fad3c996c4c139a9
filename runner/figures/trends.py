"""How a metric depends on one number that was swept, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.transforms import offset_copy

from runner.figures import scales, style
from runner.figures.scales import Line, Measure
from runner.figures.style import Array, house_style, number_text

# Lines are told apart by their markers too.
_MARKERS = ("o", "s", "^", "D", "v", "P")
_FAINT = "#B8B8B8"
_RING: dict[str, Any] = {
    "marker": "o", "markersize": 11.0, "markerfacecolor": "none", "markeredgecolor": style.INK,
    "markeredgewidth": 1.3, "zorder": 4,
}  # fmt: skip
# Points by which lines stand beside each other, so that their bars do not coincide.
_APART = 3.0
# More settings have no room for that, nor for large points.
_MANY = 24


@house_style()
def draw_trends(
    trends: Sequence[Line], cloud: tuple[Array, Array] | None, measure: Measure, name: str,
    path: Path, *, title: str = "", subtitle: str = "", joined: bool = True,
) -> Figure:  # fmt: skip
    """Draw a metric against a number as a PNG: a line for each trend, the best point ringed.

    Parameters
    ----------
    trends : sequence of Trend
        At least one, at most six; one mean at least is finite.
    cloud : (settings, means), optional
        Further points, drawn faintly.
    measure : Measure
    name : str
        What the number is.
    path : Path
    title, subtitle : str
    joined : bool
        Whether points are joined by lines.
    """
    figure, (axes,) = style.new_figure(5.2, 3.1)
    means = np.concatenate([trend.mean for trend in trends])
    settings = np.concatenate([trend.x for trend in trends])
    plottable = measure.plottable(means)
    shown = means[plottable]
    scales.scale_settings(axes, np.unique(settings))
    if cloud is not None:
        axes.plot(*cloud, "o", markersize=3.0, color=_FAINT, zorder=1.5)
        # Of a cloud its better half is in view: all of it would press the lines flat.
        shown = np.append(shown, np.median(cloud[1][measure.plottable(cloud[1])]))
    visible = scales.with_intervals(
        shown, np.concatenate([end for t in trends for end in (t.low, t.high)])
    )
    scales.scale_values(axes, visible, measure, scales.DECADE if (visible > 0.0).all() else np.inf)
    axes.set_xlabel(name)
    axes.set_title(measure.axis_label)

    bottom, top = axes.get_ylim()
    worst, beyond = (bottom, CARETDOWN) if measure.higher_is_better else (top, CARETUP)
    few = len(np.unique(settings)) <= _MANY
    best = measure.best(np.where(plottable, means, np.nan))
    starts = np.cumsum([0, *(len(trend.mean) for trend in trends)]).tolist()
    lines = []
    for index, (trend, start) in enumerate(zip(trends, starts, strict=False)):
        shift = _APART * few * (index - (len(trends) - 1) / 2)
        moved = offset_copy(axes.transData, figure, x=shift, units="points")
        mean = np.where(plottable[start : start + len(trend.mean)], trend.mean, np.nan)
        color, marker = style.PALETTE[index], _MARKERS[index] + "-" * joined
        axes.errorbar(
            trend.x, mean, [mean - trend.low, trend.high - mean], fmt=marker, linewidth=1.4,
            markersize=4.5 if few else 3.0, elinewidth=1.2, capsize=2.0 if few else 0.0,
            color=color, transform=moved, zorder=3,
        )  # fmt: skip
        for symbol, absent in (
            (beyond, np.isfinite(trend.mean) & np.isnan(mean)),
            ("x", np.isnan(trend.mean)),
        ):
            axes.plot(
                trend.x[absent], np.full(absent.sum(), worst), linestyle="", marker=symbol,
                color=color, transform=moved, zorder=3, clip_on=False,
            )  # fmt: skip
        if best is not None and start <= best < starts[index + 1]:
            axes.plot(settings[best], means[best], **_RING, transform=moved)
        end = mean if np.isfinite(mean).any() else np.full(len(mean), worst)
        lines.append((trend.label, trend.x, end, color))
    style.label_lines(axes, [line for line in lines if line[0]])

    notes = [subtitle] * bool(subtitle)
    if best is not None:
        value, setting = number_text(means[best], "#.3g"), number_text(settings[best])
        notes.append(f"ringed: the best, {value} at {setting}")
    notes += ["grey: other combinations"] * (cloud is not None)
    notes += ["triangles: beyond the scale"] * bool((np.isfinite(means) & ~plottable).any())
    notes += ["crosses: no finite value"] * bool(np.isnan(means).any())
    return style.save(figure, path, title, "; ".join(notes))
