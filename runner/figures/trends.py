"""How a metric depends on one number that was swept, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.transforms import offset_copy

from runner.figures import scales, style
from runner.figures.scales import Line, Measure
from runner.figures.style import Look, house_style, number_text

# Lines differ in their markers too.
_MARKERS = ("o", "s", "^", "D", "v", "P")
_RING: Look = {
    "markersize": 11.0,
    "markerfacecolor": "none",
    "markeredgecolor": style.INK,
    "markeredgewidth": 1.3,
    "gid": "best",
}
# Points by which lines are shifted, so that their bars do not coincide.
_APART = 3.0
# With more settings there is no room for that, nor for large markers.
_MANY = 24


@house_style()
def draw_trends(
    lines: Sequence[Line], setting: str, measure: Measure, path: Path, title: str, *notes: str
) -> Figure:
    """Draw a metric against a number as a PNG: a line for each trend, the best point ringed.

    There are at most six lines; one mean at least is finite. One without a label is not joined.
    """
    figure, (axes,) = style.new_figure(5.2, 3.1)
    axes.set_xlabel(setting)
    axes.set_title(measure.axis_label)
    settings = np.concatenate([line.x for line in lines])
    means = np.concatenate([line.mean for line in lines])
    ends = np.concatenate([end for line in lines for end in (line.low, line.high)])
    scales.scale_settings(axes, np.unique(settings))
    view = measure.view([means], room=100.0)
    scales.scale_values(axes, scales.with_intervals(view, ends), measure)

    best = measure.best(means)
    few = len(np.unique(settings)) <= _MANY
    handles, first = [], 0
    for index, line in enumerate(lines):
        shift = _APART * few * (index - (len(lines) - 1) / 2)
        moved = offset_copy(axes.transData, figure, x=shift, units="points")
        look: Look = {"color": style.PALETTE[index], "zorder": 3, "transform": moved}
        form = _MARKERS[index] + "-" * bool(line.label)
        handles.append(_draw_line(axes, line, form, few, measure.higher_is_better, look))
        if best is not None and first <= best < first + len(line.x):
            axes.plot(settings[best], means[best], "o", **look | _RING)
        first += len(line.x)
    if len(lines) > 1:
        style.legend_beside(axes, handles, [line.label for line in lines])

    if best is not None:
        value, setting = number_text(means[best], "#.3g"), number_text(settings[best])
        notes += (f"ringed: the best, {value} at {setting}",)
    bottom, top = axes.get_ylim()
    if ((means < bottom) | (means > top)).any():
        notes += ("triangles: beyond the scale",)
    if np.isnan(means).any():
        notes += ("crosses: no finite value",)
    return style.save(figure, path, title, *notes)


def _draw_line(
    axes: Axes, line: Line, form: str, large: bool, higher_is_better: bool, look: Look
) -> ErrorbarContainer:
    """Draw the points of a line with their intervals; those out of range at the worse edge."""
    bottom, top = axes.get_ylim()
    edge, beyond = (bottom, CARETDOWN) if higher_is_better else (top, CARETUP)
    inside = np.where((line.mean < bottom) | (line.mean > top), np.nan, line.mean)
    sizes: Look = {"markersize": 4.5, "capsize": 2.0} if large else {"markersize": 3.0}
    spread = [inside - line.low, line.high - inside]
    handle = axes.errorbar(line.x, inside, spread, fmt=form, elinewidth=1.2, **sizes, **look)
    outside = np.isnan(inside) & np.isfinite(line.mean)
    for marker, absent in ((beyond, outside), ("x", np.isnan(line.mean))):
        points = line.x[absent], np.full(absent.sum(), edge)
        axes.plot(*points, linestyle="", marker=marker, clip_on=False, gid="absent", **look)
    return handle
