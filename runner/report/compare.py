"""Configurations side by side: what differs in settings and metrics, and whether that is chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.jobs.plan import told_apart
from runner.report.table import (
    Printer,
    TableColumn,
    columns_of,
    mean_cells,
    printing,
)
from runner.system.formatting import count, interval, number
from runner.system.text import first_fitting
from runner.training.outcome import further_metrics, short_names, varying
from runner.training.statistics import Configuration, compare, holm

_LONGEST = 200
# More candidates than this are rows of a table, and not its columns.
_SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class Candidate:
    """A configuration to compare: a run, a group of seeds and splits, or the best of a sweep.

    `runs` vary in all of their settings, by dotted key; `data` are the digests of theirs.
    """

    name: str
    configuration: str
    runs: Configuration
    data: frozenset[str]

    @property
    def recorded(self) -> list[str]:
        """The metrics that its runs have."""
        return list(dict.fromkeys(name for run in self.runs.outcomes for name in run.metrics))


def print_comparison(candidates: Sequence[Candidate], metric: str, further: Sequence[str]) -> None:
    """Print what differs between the first candidate and the others, by some metrics.

    By default they are the one that ranks, and loss and accuracy of validation and test rows.
    """
    names = dict.fromkeys(name for one in candidates for name in one.recorded)
    metrics = list(further) or [metric, *further_metrics(names, metric)]
    letters = [_letter(number) for number in range(len(candidates))]
    with printing() as out:
        for letter, one in zip(letters, candidates, strict=True):
            out.line(
                (f"{letter}  ", "bold"), f"{one.name}  ({count(len(one.runs.outcomes), 'run')})"
            )
        settings = [one.runs.varied for one in candidates]
        values = {key: told_apart([s.get(key) for s in settings]) for key in varying(settings)}
        # Those of other data or other layers.
        one_sided = [key for key, of_each in values.items() if None in of_each]
        differing = {k: [v or "" for v in values[k]] for k in values if k not in one_sided}
        is_long = len(candidates) > _SIDE_BY_SIDE
        if differing and not is_long:
            rows = [(key, *of_each) for key, of_each in differing.items()]
            first, *others = columns_of(("setting", *letters), rows)
            out.tables(first, others)
        elif not differing and not one_sided:
            out.line("Their settings are the same, but for seeds and splits.")
        if one_sided:
            shown = first_fitting(one_sided, _LONGEST)
            n_more = len(one_sided) - len(shown)
            more = f" and {n_more} more" if n_more else ""
            out.line(f"Not all have a setting {', '.join(shown)}{more}.")
        means = [mean_cells([one.runs for one in candidates], name) for name in metrics]
        if is_long:
            short = short_names(differing)
            columns = [TableColumn("", letters)]
            columns += [TableColumn(short[key], of_each) for key, of_each in differing.items()]
            of_metrics = zip(metrics, means, strict=True)
            first, *others = (TableColumn(name, cells, "right") for name, cells in of_metrics)
            out.table([*columns, first], others)
        else:
            rows = [(name, *cells) for name, cells in zip(metrics, means, strict=True)]
            first, *others = columns_of(("metric", *letters), rows, right=letters)
            out.tables(first, others)
        _print_differences(out, candidates, letters, metrics)


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _print_differences(
    out: Printer, candidates: Sequence[Candidate], letters: Sequence[str], metrics: Sequence[str]
) -> None:
    """Print how far the first is from each other, with an interval and a p-value of each."""
    rows, paired, n_constant, n_alone = [], [], 0, 0
    n_compared: dict[int, list[str]] = {}
    for metric in metrics:
        found = [compare(candidates[0].runs, one.runs, metric) for one in candidates[1:]]
        # A difference that does not vary is a comparison too, and has no p-value of its own.
        compared = [each for each in found if each and math.isfinite(each.difference)]
        tested = [each for each in compared if not each.is_constant]
        n_compared.setdefault(len(compared) if tested else 0, []).append(metric)
        chances = iter(holm([each.p_value for each in tested], len(compared)))
        for letter, one, difference in zip(letters[1:], candidates[1:], found, strict=True):
            p = f"{next(chances):.2g}" if difference in tested else ""
            if difference is None:
                shown = _of_means(candidates[0].runs, one.runs, metric)
                n_alone += bool(shown)
            elif difference.is_constant:
                shown = f"{number(metric, difference.difference)} in each"
                n_constant += 1
            else:
                low, high = difference.low, difference.high
                shown = interval(difference.difference, low, high) if p else ""
            paired += [difference] if difference else []
            rows.append((metric, f"A - {letter}", shown, p))
    out.table(columns_of(("metric", "", "difference", "p"), rows, right=("difference", "p")))
    if n_alone:
        out.line(
            "Without an interval: the difference of the means, as fewer than two seeds or splits "
            "are in common. Run both with seed=range(0,5), or split.seed=range(0,5)."
        )
    if n_constant:
        out.line("In each: without any variation no interval and no p-value can be told.")
    if paired:
        _print_basis(out, max((one.n, one.n_splits) for one in paired), n_compared)


def _of_means(first: Configuration, second: Configuration, metric: str) -> str:
    summaries = first.summary(metric), second.summary(metric)
    means = [summary.mean for summary in summaries if summary is not None]
    return number(metric, means[0] - means[1]) if len(means) > 1 else ""


def _print_basis(
    out: Printer, common: tuple[int, int], n_compared: Mapping[int, Sequence[str]]
) -> None:
    """Say what intervals and p-values rest on: the seeds or splits in common, and the test."""
    n, n_splits = common
    if n_splits > 1:
        basis, test = count(n_splits, "common split"), "the test of Nadeau and Bengio"
    else:
        basis, test = count(n, "common seed"), "Student's t"
    out.line(f"Paired over {basis}; 95 % intervals and p-values by {test}.")
    corrected = {n: metrics for n, metrics in n_compared.items() if n > 1}
    if corrected:
        parts = "; ".join(f"{n} of {', '.join(metrics)}" for n, metrics in corrected.items())
        out.line(
            "The p-values have Holm's correction for the comparisons of a metric: "
            f"{parts}. The intervals have none: each holds for itself alone."
        )
    if n_splits == 1:
        out.line(
            "All of it is on one split: the intervals cover seeds alone, and not which rows were "
            "held out. split.seed=range(0,5) varies that."
        )
