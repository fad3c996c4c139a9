"""How a metric depends on one number that was swept, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from runner.figures import style
from runner.figures.scales import (
    DECADE,
    Array,
    Measure,
    scale_settings,
    scale_values,
    with_intervals,
)  # fmt: skip
from runner.figures.style import house_style, number_text

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


@dataclass(frozen=True)
class Trend:
    """A metric at some settings.

    Parameters
    ----------
    label : str
        What all its points have in common.
    settings : ndarray of shape (n,)
        The smallest first.
    mean, low, high : ndarray of shape (n,)
        In the unit of the metric, the interval NaN where there is none; a mean of NaN is marked
        as such.
    """

    label: str
    settings: Array
    mean: Array
    low: Array
    high: Array


@house_style()
def draw_trends(
    trends: Sequence[Trend], cloud: tuple[Array, Array] | None, measure: Measure, name: str,
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
    settings = np.concatenate([trend.settings for trend in trends])
    plottable = measure.plottable(means)
    shown = means[plottable]
    scale_settings(axes, np.unique(settings))
    if cloud is not None:
        axes.plot(*cloud, "o", markersize=3.0, color=_FAINT, zorder=1.5)
        # Of a cloud its better half is in view: all of it would press the lines flat.
        shown = np.append(shown, np.median(cloud[1][measure.plottable(cloud[1])]))
    visible = with_intervals(
        shown, np.concatenate([end for t in trends for end in (t.low, t.high)])
    )
    scale_values(axes, visible, measure, DECADE if (visible > 0.0).all() else np.inf)
    axes.set_xlabel(name)
    axes.set_title(measure.axis_label)

    few = len(np.unique(settings)) <= _MANY
    best = measure.best(np.where(plottable, means, np.nan))
    starts = np.cumsum([0, *(len(trend.mean) for trend in trends)]).tolist()
    ends = []
    for index, (trend, start) in enumerate(zip(trends, starts, strict=False)):
        shift = _APART * few * (index - (len(trends) - 1) / 2)
        moved = offset_copy(axes.transData, figure, x=shift, units="points")
        drawn = plottable[start : start + len(trend.mean)]
        look = {"color": style.PALETTE[index], "transform": moved, "zorder": 3}
        ends.append(_draw_trend(axes, trend, drawn, measure, joined, few, _MARKERS[index], look))
        if best is not None and start <= best < starts[index + 1]:
            axes.plot(settings[best], means[best], **{**_RING, "transform": moved})
    labels = [trend.label for trend in trends]
    if any(labels):
        style.label_lines(axes, ends, labels, style.PALETTE[: len(labels)])

    notes = [subtitle] * bool(subtitle)
    if best is not None:
        value, setting = number_text(means[best], "#.3g"), number_text(settings[best])
        notes.append(f"ringed: the best, {value} at {setting}")
    notes += ["grey: other combinations"] * (cloud is not None)
    notes += ["triangles: beyond the scale"] * bool((np.isfinite(means) & ~plottable).any())
    notes += ["crosses: no finite value"] * bool(np.isnan(means).any())
    return style.save(figure, path, title, "; ".join(notes))


def _draw_trend(
    axes: Axes, trend: Trend, drawn: NDArray[np.bool_], measure: Measure, joined: bool, few: bool,
    marker: str, look: dict[str, Any],
) -> tuple[float, float]:  # fmt: skip
    """Draw one line with its bars, mark at the edge what cannot be drawn, and return its end."""
    mean = np.where(drawn, trend.mean, np.nan)
    axes.errorbar(
        trend.settings, mean, [mean - trend.low, trend.high - mean], fmt=marker, linewidth=1.4,
        linestyle="-" if joined else "", markersize=4.5 if few else 3.0, elinewidth=1.2,
        capsize=2.0 if few else 0.0, **look,
    )  # fmt: skip
    bottom, top = axes.get_ylim()
    worst, beyond = (bottom, CARETDOWN) if measure.higher_is_better else (top, CARETUP)
    outliers = np.isfinite(trend.mean) & ~drawn
    for symbol, absent in ((beyond, outliers), ("x", np.isnan(trend.mean))):
        axes.plot(
            trend.settings[absent], np.full(absent.sum(), worst), linestyle="", marker=symbol,
            clip_on=False, **look,
        )  # fmt: skip
    if not drawn.any():
        return float(trend.settings[-1]), worst
    last = int(np.flatnonzero(drawn)[-1])
    return float(trend.settings[last]), float(mean[last])
