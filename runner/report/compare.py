"""Configurations side by side: what differs in settings and metrics, and whether that is chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.report.table import Printer, TableColumn, columns_of, mean_cells, printing
from runner.system.formatting import count, interval
from runner.training.outcome import further_metrics
from runner.training.statistics import REPLICATES, Configuration, compare, holm


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
        differing = _differing([one.runs.varied for one in candidates])
        rows = [(key, *(one.runs.varied.get(key, "-") for one in candidates)) for key in differing]
        if rows:
            out.table(columns_of(("setting", *letters), rows))
        else:
            out.line("Their settings are the same, but for seeds and splits.")
        means = [mean_cells([one.runs for one in candidates], name) for name in metrics]
        out.table(
            [
                TableColumn("metric", metrics),
                *(
                    TableColumn(letter, [cells[number] for cells in means], "right")
                    for number, letter in enumerate(letters)
                ),
            ]
        )
        _print_differences(out, candidates, letters, metrics)


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    keys = dict.fromkeys(key for one in settings for key in one if key not in REPLICATES)
    return [key for key in keys if len({one.get(key) for one in settings}) > 1]


def _print_differences(
    out: Printer, candidates: Sequence[Candidate], letters: Sequence[str], metrics: Sequence[str]
) -> None:
    """Print how far the first is from each other, with an interval and a p-value of each."""
    rows, paired = [], []
    for metric in metrics:
        found = [compare(candidates[0].runs, one.runs, metric) for one in candidates[1:]]
        chances = iter(holm([difference.p_value for difference in found if difference]))
        for letter, difference in zip(letters[1:], found, strict=True):
            if difference is None:
                rows.append((metric, f"A - {letter}", "too little in common", ""))
                continue
            paired.append(difference)
            low, high = difference.low, difference.high
            shown = interval(difference.difference, low, high) if math.isfinite(low + high) else ""
            rows.append((metric, f"A - {letter}", shown, f"{next(chances):.2g}"))
    out.table(columns_of(("metric", "", "difference", "p"), rows, right=("difference", "p")))
    if not paired:
        return
    n, n_splits = max((one.n, one.n_splits) for one in paired)
    n_tests = len(paired) // len({metric for metric, _, _, p in rows if p})
    basis = f"{count(n_splits, 'common split')}" if n_splits > 1 else f"{count(n, 'common seed')}"
    correction = f", by Holm's correction for {n_tests}" if n_tests > 1 else ""
    out.line(f"Paired over {basis}; 95 % intervals and p-values by Student's t{correction}.")
    if n_splits == 1:
        out.line(
            "All of it is on one split: the intervals cover seeds alone, and not which rows were "
            "held out. split.seed=range(0,5) varies that."
        )
