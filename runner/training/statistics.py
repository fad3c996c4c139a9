"""Runs that differ in nothing but their seed, folded into one configuration and summed up.

What one seed says may be luck; the mean over several, with its confidence interval, says how much.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from runner.training.outcome import Outcome, best_first

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Spread = TypeVar("Spread", float, "NDArray[np.float64]")

# The one setting that makes no other configuration.
SEED = "seed"


@dataclass(frozen=True)
class Summary:
    """Values of several seeds in a few numbers.

    Parameters
    ----------
    n : int
        How many values.
    mean : float
    std : float
        Of the sample, with ``n - 1`` degrees of freedom; NaN of one value.
    low, high : float
        95 % confidence interval of the mean, by Student's t; NaN of one value.
    """

    n: int
    mean: float
    std: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """How far the interval reaches to either side of the mean."""
        return (self.high - self.low) / 2


def summarize(values: Sequence[float]) -> Summary:
    """Sum up the values of one metric.

    Equal values have themselves as their mean, and vary by nothing. Values that are not all finite
    have a mean, which may be infinite, and no interval.

    Raises
    ------
    ValueError
        If there are no values.

    Notes
    -----
    The interval is ``mean ± t(n - 1, 0.975) * std / sqrt(n)``.

    Examples
    --------
    >>> summary = summarize([1.0, 2.0, 3.0])
    >>> summary.mean, summary.std, round(summary.low, 3), round(summary.high, 3)
    (2.0, 1.0, -0.484, 4.484)
    """
    numbers = [float(value) for value in values]
    n = len(numbers)
    if not n:
        raise ValueError("values: must be at least one, got none.")
    if n == 1 or not all(map(math.isfinite, numbers)):
        return Summary(n, sum(numbers) / n, math.nan, math.nan, math.nan)
    # From the smallest on, so that nothing is rounded where all are equal.
    smallest = min(numbers)
    offsets = [number - smallest for number in numbers]
    center = math.fsum(offset / n for offset in offsets)
    mean = smallest + center
    std = math.hypot(*(offset - center for offset in offsets)) / math.sqrt(n - 1)
    half = half_width(n, std)
    return Summary(n, mean, std, mean - half, mean + half)


def half_width(n: int, std: Spread) -> Spread:
    """Return how far the 95 % interval of a mean of `n` values reaches to either side.

    By Student's t, from the standard deviation of the sample with ``n - 1`` degrees of freedom.
    """
    return std * (_student_quantile(n - 1) / math.sqrt(n))


@lru_cache
def _student_quantile(degrees_of_freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t: between it and its negative lie 95 %."""
    # scipy.stats has it under a better known name, and takes a second to import.
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, 0.975))


@dataclass(frozen=True)
class Configuration:
    """The outcomes of one configuration, whatever the seed.

    Parameters
    ----------
    varied : mapping of str to str
        What its runs were given, but for the seed.
    outcomes : tuple of Outcome
        The finished ones.
    failures : tuple of Outcome
        The others.
    """

    varied: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    failures: tuple[Outcome, ...]

    def summary(self, metric: str) -> Summary | None:
        """Sum up a metric over the finished runs that have it; None where none has."""
        values = [run.metrics[metric] for run in self.outcomes if metric in run.metrics]
        return summarize(values) if values else None

    def by_seed(self, metric: str) -> dict[str, float]:
        """Return a metric by the seed, of the finished runs that have both."""
        return {
            run.varied[SEED]: run.metrics[metric]
            for run in self.outcomes
            if SEED in run.varied and metric in run.metrics
        }


def configurations(outcomes: Iterable[Outcome]) -> list[Configuration]:
    """Fold outcomes over their seeds, in order of first appearance.

    A run whose seed was not varied is a configuration of its own.
    """
    folded: dict[Hashable, list[Outcome]] = {}
    for number, outcome in enumerate(outcomes):
        settings = frozenset(_without_seed(outcome).items())
        folded.setdefault(settings if SEED in outcome.varied else number, []).append(outcome)
    return [
        Configuration(
            _without_seed(runs[0]),
            tuple(run for run in runs if run.status == "FINISHED"),
            tuple(run for run in runs if run.status != "FINISHED"),
        )
        for runs in folded.values()
    ]


def _without_seed(outcome: Outcome) -> dict[str, str]:
    return {key: value for key, value in outcome.varied.items() if key != SEED}


def ranked(configurations: Iterable[Configuration], metric: str) -> list[Configuration]:
    """Sort by the mean of a metric, the best first; those with NaN or none at all come last."""

    def mean(configuration: Configuration, name: str) -> float | None:
        summary = configuration.summary(name)
        return None if summary is None else summary.mean

    return best_first(configurations, metric, lambda each: mean(each, metric), mean)


@dataclass(frozen=True)
class PairedDifference:
    """How far apart two configurations are, seed by seed.

    Parameters
    ----------
    n : int
        How many seeds both have.
    difference : float
        Mean over these seeds of the first's value minus the second's.
    low, high : float
        Its 95 % confidence interval, by Student's t.
    """

    n: int
    difference: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether no difference at all lies outside the interval."""
        return self.low > 0 or self.high < 0


def compare(first: Configuration, second: Configuration, metric: str) -> PairedDifference | None:
    """Compare two configurations over the seeds that both have; None with fewer than two.

    A seed that is hard for one is often hard for the other. What they share cancels out in the
    differences, so that these say more than the two means.
    """
    firsts, seconds = first.by_seed(metric), second.by_seed(metric)
    differences = [value - seconds[seed] for seed, value in firsts.items() if seed in seconds]
    if len(differences) < 2:
        return None
    summary = summarize(differences)
    return PairedDifference(summary.n, summary.mean, summary.low, summary.high)
