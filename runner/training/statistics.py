"""Runs that differ in nothing but seed and split, folded into one configuration and summed up.

What one seed says may be luck; the mean over several, with its confidence interval, says how much.
Only several splits say anything of other rows than those that were measured.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist, StatisticsError, correlation
from typing import TYPE_CHECKING, Any, TypeVar

from runner.training.outcome import Outcome, best_first, best_outcomes, part_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Spread = TypeVar("Spread", float, "NDArray[np.float64]")

# The settings that make no other configuration: SPLITS deal the rows anew.
SEED, SPLITS = "seed", ("split.fold", "split.seed")
REPLICATES = (SEED, *SPLITS)
# What differences that are equal vary by, as a share of them.
_ROUNDING = 1e-9
# The best of more configurations is best partly by luck.
MOST_COMPARED = 2


@dataclass(frozen=True)
class Summary:
    """Values of several seeds or splits in a few numbers."""

    n: int  # how many values
    mean: float
    std: float  # of the sample, with ``n - 1`` degrees of freedom; NaN of one value
    # 95 % confidence interval of the mean, by Student's t; NaN of one value.
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """How far the interval reaches to either side of the mean."""
        return (self.high - self.low) / 2


def summarize(values: Sequence[float], ratio: float = 0.0) -> Summary:
    """Sum up the values of one metric.

    Values of splits come with the `ratio` of the rows they are measured on to training rows: splits
    share training rows, so that their values vary less than those of new data would.

    Equal values have themselves as their mean, and vary by nothing. Values that are not all finite
    have a mean, which may be infinite, and no interval. Raises `ValueError` if there are no values.

    Notes
    -----
    The interval is ``mean ± t(n - 1, 0.975) * std * sqrt(1 / n + ratio)``.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.

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
    half = half_width(n, std, ratio)
    return Summary(n, mean, std, mean - half, mean + half)


def half_width(n: int, std: Spread, ratio: float = 0.0) -> Spread:
    """Return how far the 95 % interval of a mean of `n` values reaches to either side.

    By Student's t, from the standard deviation of the sample with ``n - 1`` degrees of freedom; see
    `summarize`.
    """
    return std * (_student_quantile(n - 1) * math.sqrt(1 / n + ratio))


@lru_cache
def _student_quantile(degrees_of_freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t: between it and its negative lie 95 %.

    The angle with ``t = sqrt(n) tan(angle)`` is found by halving, from the share that lies between
    (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4); beyond 200 degrees of freedom the expansion at
    the normal distribution's quantile (26.7.5) is closer than 1e-10. SciPy has it too, and takes
    longer to import than a sweep takes to be shown.
    """
    n = degrees_of_freedom
    if n > 200:
        z = NormalDist().inv_cdf(0.975)
        terms = (
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
            (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
        )
        return z + sum(term / float(n) ** power for power, term in enumerate(terms, start=1))
    low, high = 0.0, math.pi / 2
    while low < (angle := (low + high) / 2) < high:
        if _share_between(angle, n) < 0.95:
            low = angle
        else:
            high = angle
    return math.sqrt(n) * math.tan(angle)


def _share_between(angle: float, n: int) -> float:
    """Return the share of Student's t with `n` degrees of freedom within an angle of 0."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if n % 2 else 1.0
    total = 0.0 if n == 1 else term
    for k in range(2 + n % 2, n - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    return 2 / math.pi * (angle + sine * total) if n % 2 else sine * total


@dataclass(frozen=True)
class Configuration:
    """The outcomes of one configuration, whatever the seed and the split."""

    varied: Mapping[str, str]  # what its runs were given, but for `REPLICATES`
    outcomes: tuple[Outcome, ...]  # the finished ones
    # Those that failed or were killed; what a search has stopped is neither.
    failures: tuple[Outcome, ...]

    def values(self, metric: str) -> dict[tuple[str, ...], dict[str, float]]:
        """Return a metric by the split and the seed, of the finished runs that have it."""
        return {
            split: {run.varied.get(SEED, ""): run.metrics[metric] for run in runs}
            for split, runs in self.by_split(metric).items()
        }

    def by_split(self, metric: str) -> dict[tuple[str, ...], list[Outcome]]:
        """Return the finished runs that have a metric, by their splits."""
        runs: dict[tuple[str, ...], list[Outcome]] = {}
        for run in self.outcomes:
            if metric in run.metrics:
                split = tuple(run.varied.get(key, "") for key in SPLITS)
                runs.setdefault(split, []).append(run)
        return runs

    def model_runs(self, metric: str) -> list[Outcome]:
        """Return the runs whose average is its model: of several splits all, else the best seed."""
        if len(by_split := self.by_split(metric)) > 1:
            return [run for runs in by_split.values() for run in runs]
        return best_outcomes(self.outcomes, metric)[:1]

    def shares(self, metric: str) -> dict[str, float]:
        """Return the share that each run, by its id, has in the mean of a metric."""
        by_split = self.by_split(metric).values()
        return {run.run_id: 1 / (len(by_split) * len(runs)) for runs in by_split for run in runs}

    def summary(self, metric: str) -> Summary | None:
        """Sum up a metric over the finished runs that have it; None where none has.

        Over splits, where there are several, the seeds of each averaged first.
        """
        values = [list(seeds.values()) for seeds in self.values(metric).values()]
        if len(values) < 2:
            return summarize(values[0]) if values else None
        means = [summarize(seeds).mean for seeds in values]
        return summarize(means, self.ratio(metric, len(means)))

    def ratio(self, metric: str, n_splits: int) -> float:
        """Return the rows that a metric is measured on as a share of the training rows."""
        part = part_of(metric)
        rows = [run.rows for run in self.outcomes if part in run.rows]
        # Runs of earlier versions do not say: taken for folds without validation rows.
        known = sum(of_run[part] for of_run in rows) / sum(r["train"] for r in rows) if rows else 0
        return known or 1 / (n_splits - 1)


def configurations(outcomes: Iterable[Outcome]) -> list[Configuration]:
    """Fold outcomes over their seeds and splits, in order of first appearance.

    A run of which neither was varied is a configuration of its own.
    """
    folded: dict[Hashable, list[Outcome]] = {}
    for number, outcome in enumerate(outcomes):
        settings = settings_of(outcome.varied)
        is_one_of_several = not outcome.varied.keys().isdisjoint(REPLICATES)
        folded.setdefault(settings if is_one_of_several else number, []).append(outcome)
    return [
        Configuration(
            without_replicates(runs[0].varied),
            tuple(run for run in runs if run.status == "FINISHED"),
            tuple(run for run in runs if run.status in ("FAILED", "KILLED")),
        )
        for runs in folded.values()
    ]


def without_replicates(varied: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that make a configuration."""
    return {key: value for key, value in varied.items() if key not in REPLICATES}


def settings_of(varied: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Return what runs of one configuration share, as a key."""
    return frozenset(without_replicates(varied).items())


def ranked(configurations: Iterable[Configuration], metric: str) -> list[Configuration]:
    """Sort by the mean of a metric, the best first; those with NaN or none at all come last."""

    def mean(configuration: Configuration, name: str) -> float | None:
        summary = configuration.summary(name)
        return None if summary is None else summary.mean

    return best_first(configurations, metric, lambda each: mean(each, metric), mean)


def best_runs(outcomes: Iterable[Outcome], metric: str) -> list[Outcome]:
    """Return the `model_runs` of the best configuration; none where nothing has finished."""
    several = (each.model_runs(metric) for each in ranked(configurations(outcomes), metric))
    return next(filter(None, several), [])


@dataclass(frozen=True)
class PairedDifference:
    """How far apart two configurations are, split by split, or seed by seed on one split."""

    n: int  # how many splits, or seeds, both have
    n_splits: int  # how many splits both have
    difference: float  # mean over these of the first's value minus the second's
    # Its 95 % confidence interval, by Student's t; NaN where it is the same in each of them.
    low: float
    high: float

    @property
    def p_value(self) -> float:
        """How likely a difference at least as large is by chance alone: the paired t-test."""
        from scipy.special import stdtr

        half = (self.high - self.low) / 2
        if math.isnan(half):
            return math.nan
        t = abs(self.difference) / half * _student_quantile(self.n - 1)
        return 2 * float(stdtr(self.n - 1, -t))

    @property
    def is_constant(self) -> bool:
        """Whether it is the same in each split or seed, which says nothing of what chance does."""
        return math.isfinite(self.difference) and math.isnan(self.high)

    @property
    def distinguishable(self) -> bool:
        """Whether no difference at all lies outside the interval."""
        return self.low > 0 or self.high < 0


def compare(first: Configuration, second: Configuration, metric: str) -> PairedDifference | None:
    """Compare two configurations over what both have; None with fewer than two seeds or splits.

    A seed that is hard for one is often hard for the other, and so are the rows of a split. What
    they share cancels out in the differences, so that these say more than the two means.
    """
    firsts, seconds = first.values(metric), second.values(metric)
    by_split = [
        [value - seconds[split][seed] for seed, value in seeds.items() if seed in seconds[split]]
        for split, seeds in firsts.items()
        if split in seconds
    ]
    by_split = [differences for differences in by_split if differences]
    differences, ratio = [d for seeds in by_split for d in seeds], 0.0
    if len(by_split) > 1:
        differences = [summarize(seeds).mean for seeds in by_split]
        ratio = first.ratio(metric, len(by_split))
    if len(differences) < 2:
        return None
    summary = summarize(differences, ratio)
    if summary.std <= _ROUNDING * abs(summary.mean):
        summary = replace(summary, low=math.nan, high=math.nan)
    return PairedDifference(summary.n, len(by_split), summary.mean, summary.low, summary.high)


def holm(p_values: Sequence[float], n_compared: int) -> list[float]:
    """Correct p-values for the number of comparisons: any is below 0.05 by chance in 5 % of cases.

    Comparisons without a p-value count as the least certain.

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03], 3)
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(sorted(zip(p_values, range(len(p_values)), strict=True))):
        largest = max(largest, min(1.0, (n_compared - rank) * p))
        corrected[place] = largest
    return corrected


def choice_on_test(tried: Iterable[Configuration], metric: str) -> Summary | None:
    """Test the choice: in each split the configuration that is best on its own validation rows.

    The seeds of that configuration are averaged on the split's test rows. None without several
    splits, or where `metric` is not of validation rows.
    """
    measured = "test/" + metric.rpartition("/")[2]
    if part_of(metric) != "val":
        return None
    values = [(one, one.values(metric), one.values(measured)) for one in tried]
    splits = dict.fromkeys(split for _, chosen_by, _ in values for split in chosen_by)
    tests: list[float] = []
    for split in splits:
        candidates = [
            (summarize([*by[split].values()]).mean, summarize([*test[split].values()]).mean)
            for _, by, test in values
            if split in by and split in test
        ]
        best = best_first(candidates, metric, lambda candidate: candidate[0])
        tests += [test for _, test in best[:1]]
    if len(tests) < 2:
        return None
    return summarize(tests, values[0][0].ratio(measured, len(tests)))


def rank_correlation(xs: Sequence[float], ys: Sequence[Any]) -> float:
    """Return Spearman's rank correlation; NaN where all of one are equal.

    Examples
    --------
    >>> rank_correlation([0.1, 1.0, 10.0], [3, 2, 1])
    -1.0
    """

    def ranks(values: Sequence[Any]) -> list[int]:
        order = sorted(values)  # twice the mean rank of equal ones
        return [bisect_left(order, value) + bisect_right(order, value) for value in values]

    try:
        return correlation(ranks(xs), ranks(ys))
    except StatisticsError:
        return math.nan
