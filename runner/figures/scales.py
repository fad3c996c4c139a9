"""Which scale suits some numbers, linear or logarithmic, and what stands along it.

It must not know what the numbers are of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.lettering import text_width

# A linear scale hides the end of a curve that spans more than this ratio.
_LOG_RATIO = 30.0
# The numbers of a sweep are read by their exponents beyond this ratio.
DECADE = 10.0
# More settings are not labelled each.
_MOST_LABELS = 12
# Inches between the labels of two settings.
_SPACE = 0.09


def log_scale_serves(values: NDArray[np.float64], ratio: float = _LOG_RATIO) -> bool:
    """Tell whether a linear scale would hide the smaller values; none may be negative."""
    positive = values[values > 0.0]
    if not positive.size or (values < 0.0).any():
        return False
    return bool(positive.max() > ratio * positive.min())


def scale_values(
    axes: Axes, values: NDArray[np.float64], kind: str, ratio: float = _LOG_RATIO
) -> None:
    """Choose and label the vertical scale of a metric.

    Parameters
    ----------
    axes : Axes
    values : ndarray
        What must be visible; those that are not finite do not count.
    kind : str
        The metric; "accuracy" is in percent, from 0 to 100.
    ratio : float
        The scale is logarithmic where the values span more than this.
    """
    low, high, logarithmic = _limits(values, kind, ratio)
    if logarithmic:
        axes.set_yscale("log", nonpositive="mask")
        positions = canvas.decade_positions(low, high, at_most=6)
        labels = [canvas.typeset(f"{value:g}") for value in positions]
    else:
        positions = canvas.round_positions(low, high, at_most=5)
        labels = canvas.number_labels(positions)
    axes.set_ylim(low, high)
    if np.isfinite(values).any():
        canvas.label_axis(axes, "y", positions, labels, grid=True)


def _limits(values: NDArray[np.float64], kind: str, ratio: float) -> tuple[float, float, bool]:
    """Return the ends of the scale of some values, and whether it is logarithmic."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0, False
    low, high = float(values.min()), float(values.max())
    if kind != "accuracy" and log_scale_serves(values, ratio):
        return float(values[values > 0.0].min()) / 1.3, high * 1.3, True
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    low, high = low - margin, high + margin
    if kind == "accuracy":
        low, high = max(low, -2.0), min(high, 102.0)
    elif 0.0 <= values.min() < 0.3 * values.max():
        low = 0.0
    return low, high, False


def scale_spread(
    axes: Axes, means: NDArray[np.float64], ends: NDArray[np.float64], kind: str
) -> None:
    """Choose and label the vertical scale of means with a spread around them.

    A few seeds that disagree wildly have an interval many times as long as all means are apart,
    down to losses below zero: the edge of the picture cuts it, and `cuts` marks that.

    Parameters
    ----------
    axes : Axes
    means : ndarray
        Finite values; all are visible.
    ends : ndarray
        Where their intervals end; they are followed as far as the means reach.
    kind : str
        The metric; "accuracy" is in percent.
    """
    seen, ratio = _seen(means, ends)
    scale_values(axes, seen, kind, ratio)


def spread_limits(
    means: NDArray[np.float64], ends: NDArray[np.float64], kind: str
) -> tuple[float, float]:
    """Return the ends of the scale that `scale_spread` chooses."""
    seen, ratio = _seen(means, ends)
    low, high, _ = _limits(seen, kind, ratio)
    return low, high


def _seen(
    means: NDArray[np.float64], ends: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return what is to be visible, and beyond what ratio by its exponents."""
    ends = ends[np.isfinite(ends)]
    if means.size and ends.size:
        lowest, highest = float(means.min()), float(means.max())
        room = (highest - lowest) or np.inf
        floor = lowest / 2 if lowest > 0.0 else -np.inf
        ends = np.clip(ends, max(lowest - room, floor), highest + room)
    seen = np.concatenate([means, ends])
    # A logarithmic scale has no room for a loss of 0.
    return seen, DECADE if (seen > 0.0).all() else np.inf


def scale_steps(panels: Sequence[Axes], steps: NDArray[np.float64]) -> None:
    """Give all panels, one above the other, the same steps, and label the lowest."""
    low, high = (float(steps.min()), float(steps.max())) if steps.size else (0.0, 1.0)
    if low == high:
        low, high = low - 1.0, high + 1.0
    elif low <= (high - low) * 0.1:
        low = 0.0
    for axes in panels:
        axes.set_xlim(low, high)
    positions = [p for p in canvas.round_positions(low, high, at_most=6) if p == int(p)]
    if steps.size == 1:
        positions = [float(steps[0])]
    canvas.label_axis(panels[-1], "x", positions, [f"{int(p):,}" for p in positions])


class SettingScale:
    """Where the numbers of a setting stand along the horizontal axis.

    They stand by their exponents where these are what was swept. 0, which has none, then stands a
    step below the smallest.

    Parameters
    ----------
    settings : ndarray of shape (n,)
        At least two distinct numbers, the smallest first.
    """

    def __init__(self, settings: NDArray[np.float64]) -> None:
        self._settings = settings
        positive = settings[settings > 0.0]
        self.geometric = bool(settings[0] >= 0.0 and _is_geometric(positive))
        self._zero = math.nan
        if self.geometric:
            exponents = np.log10(positive)
            self._zero = float(exponents[0] - np.median(np.diff(exponents)))

    def place(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where numbers stand, in what the axis counts."""
        if not self.geometric:
            return values
        places = np.full(len(values), self._zero)
        np.log10(values, out=places, where=values > 0.0)
        return places

    def label(self, axes: Axes, width: float) -> None:
        """Set the limits of axes of a width in inches, and write numbers along them."""
        places = self.place(self._settings)
        margin = float(places[-1] - places[0]) * 0.05
        low, high = float(places[0]) - margin, float(places[-1]) + margin
        axes.set_xlim(low, high)
        positions, labels = self._settings, [setting_number(value) for value in self._settings]
        inches = (places - low) / (high - low) * width
        if len({*labels}) < len(labels) or not _have_room(labels, inches):
            positions, labels = self._round_numbers(low, high)
        canvas.label_axis(axes, "x", self.place(positions).tolist(), labels)

    def _round_numbers(self, low: float, high: float) -> tuple[NDArray[np.float64], list[str]]:
        if not self.geometric:
            linear = canvas.round_positions(low, high, at_most=6)
            return np.array(linear), canvas.number_labels(linear)
        smallest = self._settings[self._settings > 0.0][0]
        found = canvas.decade_positions(float(smallest), 10.0**high, at_most=6)
        if self._settings[0] == 0.0:
            found = [0.0, *found]
        return np.array(found), [setting_number(value) for value in found]


def setting_number(value: float) -> str:
    """Write a number about as a person would have written it."""
    return canvas.typeset(f"{value:g}")


def _is_geometric(positive: NDArray[np.float64]) -> bool:
    """Tell whether numbers leave smaller gaps by their exponents than by themselves."""
    if len(positive) < 2 or positive[-1] <= DECADE * positive[0]:
        return False

    def largest_gap(places: NDArray[np.float64]) -> float:
        return float(np.diff(places).max() / (places[-1] - places[0]))

    return largest_gap(np.log10(positive)) < largest_gap(positive)


def _have_room(labels: Sequence[str], inches: NDArray[np.float64]) -> bool:
    if len(labels) > _MOST_LABELS:
        return False
    halves = [text_width([label], canvas.SMALL_PT) / 2 for label in labels]
    return all(
        right - left > before + after + _SPACE
        for (left, right), (before, after) in zip(pairwise(inches), pairwise(halves), strict=True)
    )
