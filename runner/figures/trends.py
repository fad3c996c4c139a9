"""How a metric goes with one number that was swept, with the spread over seeds.

It must not know what was swept: it sees numbers, and lines through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.markers import CARETDOWN, CARETUP
from numpy.typing import NDArray

from runner.figures import cuts
from runner.figures import style as canvas
from runner.figures.measures import Measure, metric_number
from runner.figures.scales import SettingScale, scale_spread, setting_number, spread_limits
from runner.figures.sheet import WIDTH, Entry, Sheet

# Lines are told apart by their markers too.
_MARKERS = ("o", "s", "^", "D", "v", "P")
_CLOUD: dict[str, Any] = {"marker": "o", "markersize": 3.0, "color": "#B8B8B8", "linestyle": ""}
_RING: dict[str, Any] = {
    "marker": "o", "markersize": 11.0, "markerfacecolor": "none", "markeredgecolor": canvas.INK,
    "markeredgewidth": 1.3, "linestyle": "",
}  # fmt: skip
# Inches by which the lines stand beside each other, so that their bars do not lie in one.
_APART = 0.04
# More settings have no room for that, nor for large points.
_MANY = 24


@dataclass(frozen=True)
class Trend:
    """A metric at some settings.

    Parameters
    ----------
    label : str
        What all its points have in common; "" needs no words.
    settings : ndarray of shape (n,)
        The smallest first.
    mean, low, high : ndarray of shape (n,)
        In the unit of the metric, the interval NaN where there is none; a mean of NaN is marked
        as such.
    """

    label: str
    settings: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@canvas.house_style()
def draw_trends(
    trends: Sequence[Trend],
    cloud: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    measure: Measure,
    name: str,
    path: Path,
    *,
    title: str = "",
    subtitle: str = "",
    joined: bool = True,
) -> None:
    """Draw a metric against a number as a PNG: a line for each trend, the best point ringed.

    Parameters
    ----------
    trends : sequence of Trend
        At least one, at most six; one mean at least is finite.
    cloud : (settings, means), optional
        Further points, drawn faintly.
    measure : Measure
        What is drawn upwards.
    name : str
        What the number is.
    path : Path
        The PNG to write.
    title, subtitle : str
        What stands above the picture.
    joined : bool
        Whether points are joined by lines.
    """
    means = np.concatenate([trend.mean for trend in trends])
    settings = np.concatenate([trend.settings for trend in trends])
    tame = measure.tame(means)
    best = measure.best(np.where(tame, means, np.nan))
    styles = [_style(index, trend, joined) for index, trend in enumerate(trends)]
    legend = [Entry(t.label, style) for t, style in zip(trends, styles, strict=True) if t.label]
    if cloud is not None:
        legend.append(Entry("other combinations in view", _CLOUD))
    if best is not None:
        told = f"best: {metric_number(means[best])} at {setting_number(settings[best])}"
        legend.append(Entry(told, _RING))
    absent: list[tuple[str | int, str, NDArray[np.bool_]]] = [
        (_beyond(measure), "beyond the scale", np.isfinite(means) & ~tame),
        ("x", "no finite value", np.isnan(means)),
    ]
    for marker, words, found in absent:
        if found.any():
            legend.append(Entry(words, _at_edge(marker, canvas.MUTED)))
    low, high = (np.concatenate([getattr(t, end) for t in trends]) for end in ("low", "high"))
    bars, shown = np.concatenate([low, high]), _shown(means[tame], cloud, measure)
    limits = spread_limits(shown, bars, measure.kind)
    barred = tame & np.isfinite(low) & np.isfinite(high)
    cut = barred & cuts.cut_ends(low, high, limits)
    if cut.any():
        legend.append(cuts.ENTRY)

    sheet = Sheet(
        title=title, subtitle=subtitle, x_name=name,
        y_name=f"{measure.label}, {measure.direction}", legend=legend,
    )  # fmt: skip
    axes = sheet.axes
    distinct = np.unique(settings)
    scale = SettingScale(distinct)
    scale.label(axes, WIDTH)
    if cloud is not None:
        axes.plot(scale.place(cloud[0]), cloud[1], zorder=1.5, **_CLOUD)
    scale_spread(axes, shown, bars, measure.kind)

    line = np.repeat(np.arange(len(trends)), [len(trend.mean) for trend in trends])
    left, right = axes.get_xlim()
    apart = (right - left) / WIDTH * (_APART if len(distinct) <= _MANY else 0.0)
    x = scale.place(settings) + apart * (line - (len(trends) - 1) / 2)
    for index, trend in enumerate(trends):
        own = line == index
        _draw(axes, x[own], trend, tame[own], measure, styles[index])
        cuts.mark(axes, x[own], cut[:, own], styles[index]["color"])
    if best is not None:
        axes.plot(x[best], means[best], zorder=4, clip_on=False, **_RING)
    sheet.save(path)


def _shown(
    tame: NDArray[np.float64],
    cloud: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    measure: Measure,
) -> NDArray[np.float64]:
    """Return what must be in view: of a cloud its better half, since all of it would press flat."""
    if cloud is None:
        return tame
    return np.append(tame, np.median(cloud[1][measure.tame(cloud[1])]))


def _style(index: int, trend: Trend, joined: bool) -> dict[str, Any]:
    return {
        "color": canvas.PALETTE[index],
        "marker": _MARKERS[index],
        "markersize": 4.5 if len(trend.mean) <= _MANY else 3.0,
        "linestyle": "-" if joined else "",
        "linewidth": 1.4,
    }


def _at_edge(marker: str | int, color: str) -> dict[str, Any]:
    return {"marker": marker, "markersize": 6.0, "color": color, "linestyle": ""}


def _beyond(measure: Measure) -> int:
    """Return the marker of what is too bad for the scale: it points where that lies."""
    return CARETDOWN if measure.higher_is_better else CARETUP


def _draw(
    axes: Axes, x: NDArray[np.float64], trend: Trend, tame: NDArray[np.bool_], measure: Measure,
    style: dict[str, Any],
) -> None:  # fmt: skip
    """Draw one line with its bars, and at the edge what cannot be drawn in its place."""
    axes.plot(x, np.where(tame, trend.mean, np.nan), zorder=3, clip_on=False, **style)
    # All bars are one line with gaps in it, which is drawn in a fifth of the time of many lines.
    barred = tame & np.isfinite(trend.low) & np.isfinite(trend.high)
    low = np.maximum(trend.low, axes.get_ylim()[0])  # a logarithm has no place for less than 0
    places = np.stack([x, x, np.full(len(x), np.nan)], axis=1)[barred]
    ends = np.stack([low, trend.high, trend.high], axis=1)[barred]
    axes.plot(places.ravel(), ends.ravel(), color=style["color"], linewidth=1.2, zorder=2)
    bad = 0.0 if measure.higher_is_better else 1.0
    absent: list[tuple[str | int, NDArray[np.bool_]]] = [
        (_beyond(measure), np.isfinite(trend.mean) & ~tame),
        ("x", np.isnan(trend.mean)),
    ]
    for marker, found in absent:
        axes.plot(
            x[found], np.full(int(found.sum()), bad), transform=axes.get_xaxis_transform(),
            zorder=3, clip_on=False, **_at_edge(marker, style["color"]),
        )  # fmt: skip
