"""How a metric is told: its words, its unit, and which of its values are better.

It must not know what is drawn of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.system.text import elide
from softnet import higher_is_better

# Beyond this, margins and differences overflow: drawn as if it were not finite.
_LARGEST = 1e300

_WORDS = {"train": "training", "val": "validation"}
_UNITS = {"loss": "mean per row", "accuracy": "% of rows"}
# What lies further from the best than this many times the distance of the median would leave
# no room for the rest.
_WILD = 100.0


@dataclass(frozen=True)
class Measure:
    """A metric as people read it.

    Parameters
    ----------
    metric : str
        For instance ``val/loss``.

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
        parts = [_WORDS.get(part, part) for part in self.metric.split("/")]
        return elide(" ".join(parts), 40)

    @property
    def unit(self) -> str:
        """What its numbers count, or nothing."""
        return _UNITS.get(self.kind, "")

    @property
    def label(self) -> str:
        """The name with the unit."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""
        return higher_is_better(self.metric)

    @property
    def direction(self) -> str:
        """Its direction in words."""
        return "higher is better" if self.higher_is_better else "lower is better"

    def shown(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in the unit; NaN stands for those that cannot be drawn."""
        drawable = np.where(np.abs(values) < _LARGEST, values, np.nan)
        return drawable * (100.0 if self.kind == "accuracy" else 1.0)

    def best(self, values: NDArray[np.float64]) -> int | None:
        """Find the first of the best values; None where all are NaN."""
        if np.isnan(values).all():
            return None
        return int(np.nanargmax(values) if self.higher_is_better else np.nanargmin(values))

    def tame(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which values are finite, and not so much worse than the rest that they hide it.

        A learning rate that lets a loss run away to a million must not flatten the picture of all
        the others.
        """
        found = np.isfinite(values)
        at = self.best(np.where(found, values, np.nan))
        if at is None:
            return found
        with np.errstate(over="ignore", invalid="ignore"):
            behind = np.abs(values - values[at])
            limit = _WILD * float(np.median(behind[found]))
            return found & (behind <= limit) if limit > 0.0 else found


def metric_number(value: float) -> str:
    """Write a value with the three digits that a cell or a legend has room for.

    Examples
    --------
    >>> metric_number(0.31), metric_number(100.0), metric_number(123456.0)
    ('0.310', '100', '1.23e5')
    """
    return canvas.typeset(f"{value:#.3g}".removesuffix("."))
