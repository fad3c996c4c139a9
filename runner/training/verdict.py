"""Verdicts in words: which configuration of a sweep is best, and whether by more than chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from runner.system.formatting import count, interval, number
from runner.system.text import elide_apart
from runner.training.outcome import (
    PART_WORDS,
    Outcome,
    best_first,
    part_of,
    varying,
    varying_settings,
)
from runner.training.statistics import (
    MOST_COMPARED,
    Configuration,
    PairedDifference,
    Summary,
    choice_on_test,
    compare,
    configurations,
    rank_correlation,
    ranked,
    settings_of,
    without_replicates,
)

_LONGEST_VALUE = 32
# Different values of a setting, from which on there is a correlation to be told.
_MANY_VALUES = 10
# Averages of the same predictions differ by less.
_ROUNDING = 1e-12


def configuration_names(varied: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> list[str]:
    """Name configurations by their settings: ``learning_rate=0.1 momentum=0.9``.

    Long values are cut, but so that those that differ do so still.
    """
    values = {key: elide_apart([v.get(key, "") for v in varied], _LONGEST_VALUE) for key in names}
    return [
        " ".join(f"{name}={values[key][n]}" for key, name in names.items() if key in one)
        or "the defaults"
        for n, one in enumerate(varied)
    ]


def remarks(
    outcomes: Sequence[Outcome],
    metric: str,
    expected: tuple[float, ...] | None = None,
    search: str = "",
) -> list[str]:
    """Say of the runs of a sweep what their table does not, a line each, in every report."""
    tried = configurations(outcomes)
    rows = ranked([one for one in tried if one.outcomes], metric)
    test = choice_on_test(rows, metric) if len(rows) > 1 else None
    too_good = reserve(tried, search)
    ends = pruned_at(outcomes)
    lines = [
        verdict(rows, metric),
        _test_of_choice(test, metric, too_good) if test and math.isfinite(test.high) else None,
        choice(tried, metric, expected, search),
        f"{count(sum(run.status == 'PRUNED' for run in outcomes), 'run')} pruned: {ends}"
        if ends
        else None,
        _correlations(outcomes, metric),
    ]
    return [line for line in lines if line]


def verdict(rows: Sequence[Configuration], metric: str) -> str | None:
    """Say whether the best two differ by more than seeds or splits do; None if unknown."""
    if len(rows) < 2:
        return None
    best, runner_up = rows[:2]
    names = varying_settings([configuration.varied for configuration in rows])
    pair = [best.varied, runner_up.varied]
    differing = {key: name for key, name in names.items() if key in varying(pair)}
    shared = {k: v for k, v in names.items() if k in best.varied and k not in differing}
    sentence = _verdict(best, runner_up, configuration_names(pair, differing), metric)
    if sentence is None or not shared:
        return sentence
    return f"With {configuration_names(pair, shared)[0]}, {sentence}"


def _verdict(
    best: Configuration, runner_up: Configuration, names: Sequence[str], metric: str
) -> str | None:
    """Say it of the best two, which are called by what differs between them."""
    better, worse = names
    comparison = compare(best, runner_up, metric)
    if comparison is not None and comparison.is_constant:
        return _constant_verdict(better, worse, comparison, metric)
    if comparison is None or not math.isfinite(comparison.high - comparison.low):
        if max(len(best.outcomes), len(runner_up.outcomes)) < 2:
            return None
        return f"{better} and {worse} have too few seeds or splits in common to be compared."
    lead, low, high = comparison.difference, comparison.low, comparison.high
    from softnet import higher_is_better

    if not higher_is_better(metric):
        lead, low, high = -lead, -high, -low
    if comparison.n_splits > 1:
        where, over = "", f"over {comparison.n:,} common splits"
    else:
        where = f" on {_rows_of(best, metric)}"
        over = f"({comparison.n:,} common seeds; other splits were not tried)"
    if not comparison.distinguishable:
        return (
            f"{better} and {worse} are not distinguishable{where} in {metric} {over}:"
            f" difference {interval(lead, low, high)}."
        )
    if lead < 0:  # over what they have in common the order may be reversed
        better, worse, lead, low, high = worse, better, -lead, -high, -low
    return (
        f"{better} is better than {worse}{where} by {interval(lead, low, high)} in {metric} {over}."
    )


def _constant_verdict(first: str, second: str, comparison: PairedDifference, metric: str) -> str:
    """Say how far two configurations are apart where that does not vary."""
    from softnet import higher_is_better

    kind = "splits" if comparison.n_splits > 1 else "seeds"
    where = f"in each of {comparison.n:,} common {kind}"
    if comparison.difference == 0:
        return f"{first} and {second} have the same {metric} {where}."
    if (comparison.difference > 0) != higher_is_better(metric):
        first, second = second, first
    by = number(metric, abs(comparison.difference))
    return (
        f"{first} is ahead of {second} by {by} in {metric} {where}: without any variation no"
        " interval can be told."
    )


def reserve(tried: Sequence[Configuration], search: str) -> str:
    """Say of a value that it is too good, where validation rows chose what was tried, and how long.

    This choice cannot be repeated without training. Split by split, it has also seen the test rows:
    they are validation rows of other splits.
    """
    if any(not (one.outcomes or one.failures) for one in tried):
        return ": too good by the choice at the rungs"
    return ": too good by the choice of what was tried" if search == "optuna" else ""


def choice(
    tried: Sequence[Configuration],
    metric: str,
    expected: tuple[float, ...] | None = None,
    search: str = "",
) -> str | None:
    """Say of the best of many that it is, and what it is worth beyond the rows that chose it."""
    summaries = [(one, summary) for one in tried if (summary := one.summary(metric)) is not None]
    n_whole, n_pruned = len(summaries), sum(not (one.outcomes or one.failures) for one in tried)
    if not summaries or n_whole + n_pruned <= MOST_COMPARED:
        return None
    ((best, chosen), *_) = best_first(summaries, metric, lambda each: each[1].mean)
    rows = _rows_of(best, metric).removeprefix("these ")
    tried_text = f"Best of {n_whole + n_pruned:,} tried: {metric} {number(metric, chosen.mean)}"
    more = f"; {interval(*expected)} expected on new rows" if expected is not None else ""
    if more and n_pruned:
        more += f", from the {n_whole:,} trained to the end"
    elif n_pruned and n_whole <= MOST_COMPARED:
        least = MOST_COMPARED + 1
        more = (
            f"; nothing is known of new rows: that takes {least} trained to the end, not {n_whole}"
        )
    if expected is not None:
        more += reserve(tried, search)
    return f"{tried_text} on the {rows} that chose it{more}."


def pruned_at(outcomes: Sequence[Outcome]) -> str:
    """Say how many runs a search has stopped at which rung: ``54 at epoch 6, 18 at epoch 18``."""
    stopped = [run for run in outcomes if run.status == "PRUNED"]
    unit, ends = "epoch", [run.pruned_at_epoch for run in stopped]
    if None in ends:
        unit, ends = "step", [run.pruned_at_step for run in stopped]
    rungs = sorted(Counter(filter(None, ends)).items())
    return ", ".join(f"{n:,} at {unit} {end:,}" for end, n in rungs)


def _test_of_choice(test: Summary, metric: str, too_good: str) -> str:
    name = "test/" + metric.rpartition("/")[2]
    return (
        f"Test of the choice: {name} {estimate(test, name)} over {test.n:,}"
        f" splits, in each the configuration that its own validation rows choose{too_good}."
    )


def _correlations(outcomes: Sequence[Outcome], metric: str) -> str | None:
    """Say how the numbers that a search has drawn go with the metric."""
    from softnet import higher_is_better

    trials: dict[frozenset[tuple[str, str]], list[Outcome]] = {}
    for run in outcomes:
        trials.setdefault(settings_of(run.varied), []).append(run)
    # What was stopped earlier counts as worse, whatever it was worth by then.
    sign = 1 if higher_is_better(metric) else -1
    settings, ranks = list[dict[str, str]](), list[tuple[float, float]]()
    for runs in trials.values():
        value = math.fsum(run.metrics.get(metric, math.nan) for run in runs) / len(runs)
        if not math.isnan(value) and all(run.status != "FAILED" for run in runs):
            settings.append(without_replicates(runs[0].varied))
            ranks.append((sign * (runs[0].pruned_at_step or math.inf), value))
    columns: dict[str, list[float]] = {}
    for key, name in varying_settings(settings).items():
        with suppress(ValueError, KeyError):  # words; what some trials do not have
            columns[name] = [float(varied[key]) for varied in settings]
    if max((len(set(column)) for column in columns.values()), default=0) < _MANY_VALUES:
        return None
    parts = [f"{name} {rank_correlation(column, ranks):+.2f}" for name, column in columns.items()]
    return (
        f"Rank correlation (Spearman) with {metric} over {len(ranks):,} trials: {', '.join(parts)}"
    )


def estimate(summary: Summary, metric: str) -> str:
    """Write a mean with its interval, cut where the metric has its bounds."""
    from softnet import LABEL_METRICS, METRICS

    kind = metric.rpartition("/")[2]
    least, most = (LABEL_METRICS.get(kind.partition("_")[0]) or METRICS[kind]).bounds
    return interval(summary.mean, max(summary.low, least), min(summary.high, most))


def lead(difference: Summary, metric: str) -> str:
    """Say whether the first of two is better or worse: ``better by 0.012 [0.010, 0.015]``."""
    from softnet import higher_is_better

    by, low, high = difference.mean, difference.low, difference.high
    if max(abs(low), abs(high)) < _ROUNDING:
        return "the same"
    if not higher_is_better(metric):
        by, low, high = -by, -high, -low
    if low > 0:
        return f"better by {interval(by, low, high)}"
    if high < 0:
        return f"worse by {interval(-by, -high, -low)}"
    return f"not distinguishable, difference {interval(by, low, high)},"


def _rows_of(configuration: Configuration, metric: str) -> str:
    """Name the rows that a metric is of: ``these 30 validation rows``."""
    part = part_of(metric)
    kind = PART_WORDS.get(part, part)
    numbers = {run.rows[part] for run in configuration.outcomes if part in run.rows}
    numbers = numbers if len(configuration.values(metric)) == 1 else set()
    name = f"{kind} row"
    return f"these {count(numbers.pop(), name) if len(numbers) == 1 else f'{name}s'}"
