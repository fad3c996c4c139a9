"""What a metric is called and which of its values are better; the axes that suit numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, ScalarFormatter, StrMethodFormatter
from numpy.typing import NDArray

from runner.figures.style import DPI, SMALL_PT, Array, number_text, text_width
from runner.system.text import elide
from softnet import higher_is_better

#: From here on squares overflow; nothing so large has a place on an axis.
LARGEST = 1e150
SPLITS = {"train": "training", "val": "validation", "test": "test"}
_UNITS = {"loss": "mean per row", "accuracy": "% of rows"}
# A value this many times as far from the best as the median would flatten the rest.
_OUTLIER = 100.0
# The numbers of a sweep are read by their exponents beyond this ratio.
DECADE = 10.0
# More settings do not get a tick each.
_MOST_TICKS = 12


@dataclass(frozen=True)
class Line:
    """A metric along the steps of training or the values of a setting, with its spread.

    Parameters
    ----------
    label : str
    x : ndarray of shape (n,)
        Ascending.
    mean, low, high : ndarray of shape (n,)
        In the unit of the metric; NaN where there is no mean, or no spread.
    """

    label: str
    x: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Measure:
    """A metric, such as ``val/loss``, as people read it.

    Examples
    --------
    >>> Measure("val/accuracy").label
    'validation accuracy (% of rows)'
    """

    metric: str

    @property
    def kind(self) -> str:
        """What is measured, on whatever rows: ``loss``, ``accuracy``."""
        return self.metric.rpartition("/")[2]

    @property
    def words(self) -> str:
        """The name in full."""
        return elide(" ".join(SPLITS.get(part, part) for part in self.metric.split("/")), 40)

    @property
    def label(self) -> str:
        """The name with the unit."""
        return f"{self.words} ({_UNITS[self.kind]})" if self.kind in _UNITS else self.words

    @property
    def axis_label(self) -> str:
        """The name with the unit and the direction."""
        return f"{self.label}, {'higher' if self.higher_is_better else 'lower'} is better"

    @property
    def higher_is_better(self) -> bool:
        """The direction."""
        return higher_is_better(self.metric)

    def in_unit(self, values: Array) -> Array:
        """Convert to the unit; values that cannot be drawn become NaN."""
        drawable = np.where(np.abs(values) < LARGEST, values, np.nan)
        return drawable * (100.0 if self.kind == "accuracy" else 1.0)

    def best(self, values: Array) -> int | None:
        """Find the first of the best values; None where all are NaN."""
        if np.isnan(values).all():
            return None
        return int(np.nanargmax(values) if self.higher_is_better else np.nanargmin(values))

    def plottable(self, values: Array) -> NDArray[np.bool_]:
        """Tell which values are finite, and not so much worse than the rest that they flatten it.

        A learning rate at which the loss grows to a million must not spoil the picture of the
        others.
        """
        finite = np.isfinite(values)
        if not finite.any():
            return finite
        best = values[finite].max() if self.higher_is_better else values[finite].min()
        with np.errstate(over="ignore", invalid="ignore"):
            behind = np.abs(values - best)
            limit = _OUTLIER * float(np.median(behind[finite]))
            return finite & (behind <= limit) if limit > 0.0 else finite


def needs_log_scale(values: Array, ratio: float) -> bool:
    """Tell whether a linear scale would hide the smaller values; none may be negative."""
    positive = values[values > 0.0]
    if not positive.size or (values < 0.0).any():
        return False
    return bool(positive.max() > ratio * positive.min())


def scale_values(axes: Axes, values: Array, measure: Measure, log_ratio: float = 30.0) -> None:
    """Choose limits, scale and ticks of the y axis, so that all finite values are visible.

    The scale is logarithmic where positive values span more than `log_ratio`.
    """
    values = values[np.isfinite(values)]
    axes.grid(visible=True, axis="y")
    if not values.size:
        axes.set_yticks([])
        return
    low, high = float(values.min()), float(values.max())
    if measure.kind != "accuracy" and needs_log_scale(values, log_ratio):
        low = float(values[values > 0.0].min())
        axes.set_yscale("log", nonpositive="clip")
        _set_log_ticks(axes.yaxis, low, high)
        axes.set_ylim(low / 1.2, high * 1.2)
        return
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    bottom, top = low - margin, high + margin
    if measure.kind == "accuracy":
        bottom, top = max(bottom, -2.0), min(top, 102.0)
    elif 0.0 <= low < 0.3 * high:
        bottom = 0.0
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_ylim(bottom, top)


def _set_log_ticks(axis: Axis, low: float, high: float) -> None:
    digits = (1, 2, 3, 5) if high < 30 * low else (1, 2, 5) if high < 1e3 * low else (1,)
    axis.set_major_locator(LogLocator(subs=digits, numticks=7))
    axis.set_major_formatter(lambda value, _: number_text(value))
    axis.axes.minorticks_off()


def with_intervals(means: Array, ends: Array) -> Array:
    """Add the ends of intervals to finite means, no further away than the means are apart.

    A few seeds that disagree wildly have an interval many times as long, down to losses below
    zero: the frame cuts it. An end is NaN where there is no interval.
    """
    ends = ends[np.isfinite(ends)]
    if means.size and ends.size:
        lowest, highest = float(means.min()), float(means.max())
        room = (highest - lowest) or np.inf
        floor = lowest / 2 if lowest > 0.0 else -np.inf
        ends = np.clip(ends, max(lowest - room, floor), highest + room)
    return np.concatenate([means, ends])


def scale_steps(axes: Axes) -> None:
    """Give the x axis whole steps as its ticks."""
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=True))
    many = max(map(abs, axes.get_xlim())) >= 1e7
    axes.xaxis.set_major_formatter(ScalarFormatter() if many else StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("step")


def scale_settings(axes: Axes, settings: Array) -> None:
    """Choose limits, scale and ticks of the x axis for two or more distinct, ascending numbers."""
    if is_geometric(settings):
        if settings[0] == 0.0:
            axes.set_xscale("symlog", linthresh=settings[1])
            axes.locator_params(axis="x", numticks=7)
            axes.xaxis.set_major_formatter(lambda value, _: number_text(value))
        else:
            axes.set_xscale("log")
            _set_log_ticks(axes.xaxis, float(settings[0]), float(settings[-1]))
    scale = axes.xaxis.get_transform()
    positions = scale.transform(settings)
    margin = (positions[-1] - positions[0]) * 0.05
    limits = scale.inverted().transform([positions[0] - margin, positions[-1] + margin])
    axes.set_xlim(*limits)
    labels = [number_text(value) for value in settings]
    axes_inches = axes.get_window_extent().width / DPI
    inches = np.diff(positions) / (positions[-1] - positions[0]) * axes_inches / 1.1
    if len({*labels}) == len(labels) <= _MOST_TICKS:
        widths = np.array([text_width([label], SMALL_PT) for label in labels])
        if (inches > (widths[1:] + widths[:-1]) / 2 + 0.09).all():
            axes.set_xticks(settings, labels)


def is_geometric(settings: Array) -> bool:
    """Tell whether ascending numbers leave smaller gaps by their exponents than by themselves."""
    positive = settings[settings > 0.0]
    if settings[0] < 0.0 or len(positive) < 2 or positive[-1] <= DECADE * positive[0]:
        return False
    gaps = [np.diff(p).max() / (p[-1] - p[0]) for p in (np.log10(positive), positive)]
    return bool(gaps[0] < gaps[1])
