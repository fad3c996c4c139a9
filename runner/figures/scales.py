"""Metrics with their names, units and directions; scales and limits of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, ScalarFormatter, StrMethodFormatter

from runner.figures.style import Array, number_text
from runner.system.text import elide
from softnet import higher_is_better

#: Larger numbers are not drawn: their squares would overflow.
LARGEST = 1e150
#: Values that span more than this ratio get a logarithmic scale.
DECADE = 10.0
SPLITS = {"train": "training", "val": "validation", "test": "test"}
_UNITS = {"loss": "mean per row", "accuracy": "% of rows"}
# At most this many settings get a tick each, if they are this share of the axis apart.
_MOST_TICKS, _TICK_GAP = 9, 0.08


@dataclass(frozen=True)
class Line:
    """A metric along the steps of training or the values of a setting, with its spread.

    `x`, of shape (n,), ascends; `mean`, `low` and `high` are in the unit of the metric, and NaN
    where there is none.
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
        """The metric without its split: ``loss``, ``accuracy``."""
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
        """Whether higher values are better."""
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

    def view(self, curves: Sequence[Array], room: float) -> tuple[float, float]:
        """Choose the range of values that a figure shows.

        It has the best three quarters of each curve, and the rest too unless that takes more than
        `room` times as much: a learning rate at which the loss grows to a million, or the first
        steps of every run, must not flatten the differences between the others.

        One value at least is finite.
        """
        sign = -1.0 if self.higher_is_better else 1.0
        ordered = [np.sort(sign * curve[np.isfinite(curve)]) for curve in curves]
        ordered = [curve for curve in ordered if len(curve)]
        best = min(curve[0] for curve in ordered)
        usual = max(curve[3 * (len(curve) - 1) // 4] for curve in ordered)
        worst = max(curve[-1] for curve in ordered)
        if best < usual and worst - best > room * (usual - best):
            worst = usual
        return (best, worst) if sign > 0 else (-worst, -best)


def with_intervals(view: tuple[float, float], ends: Array) -> tuple[float, float]:
    """Extend a range to the ends of intervals, at either side by no more than its own length.

    A few seeds that disagree wildly have an interval many times as long, down to losses below
    zero: the frame cuts it.
    """
    low, high = view
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return view
    room = (high - low) or np.inf
    floor = low / 2 if low > 0.0 else -np.inf
    return max(min(low, ends.min()), low - room, floor), min(max(high, ends.max()), high + room)


def scale_values(
    axes: Axes, view: tuple[float, float], measure: Measure, log_ratio: float = DECADE
) -> None:
    """Choose limits, scale and ticks of the y axis for a range of values.

    The scale is logarithmic where the range is positive and spans more than `log_ratio`.
    """
    low, high = view
    axes.grid(visible=True, axis="y")
    if measure.kind != "accuracy" and 0.0 < log_ratio * low < high:
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


def scale_steps(axes: Axes) -> None:
    """Give the x axis whole steps as its ticks."""
    axes.xaxis.set_major_locator(
        MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1)
    )
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
    length = positions[-1] - positions[0]
    ends = [positions[0] - length * 0.05, positions[-1] + length * 0.05]
    axes.set_xlim(*scale.inverted().transform(ends))
    if len(settings) <= _MOST_TICKS and np.diff(positions).min() >= _TICK_GAP * length:
        axes.set_xticks(settings, [number_text(value) for value in settings])


def is_geometric(settings: Array) -> bool:
    """Tell whether ascending numbers leave smaller gaps by their exponents than by themselves."""
    positive = settings[settings > 0.0]
    if settings[0] < 0.0 or len(positive) < 2 or positive[-1] <= DECADE * positive[0]:
        return False
    gaps = [np.diff(p).max() / (p[-1] - p[0]) for p in (np.log10(positive), positive)]
    return bool(gaps[0] < gaps[1])
