"""What came out of one run in full, or of several as a table, the best first.

It must not know what runs have in common: folding them over their seeds is for sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from runner.report.console import print_line, print_way_on, printing
from runner.report.failures import print_failures, status
from runner.report.ranking import further_metrics, print_ranking
from runner.report.settings import LONGEST_NAME, differing, setting_columns
from runner.report.table import Column, print_table
from runner.system.formatting import count, number
from runner.system.text import elide, on_one_line, printable
from runner.training.outcome import Outcome, best_first

if TYPE_CHECKING:
    from rich.console import Console

# A column of 0.0 tells nothing.
_SHORTEST_TOLD_S = 0.05


def print_outcomes(
    outcomes: Sequence[Outcome], metric: str, where: str, file: TextIO | None = None
) -> None:
    """Print what came out of a command: one run in full, several as a table, the best first.

    Parameters
    ----------
    outcomes : sequence of Outcome
    metric : str
        By which runs are ranked.
    where : str
        How to see the runs: a link to open, or a command.
    file : text file, optional
        By default the standard output. Colours and cuts to the width are for terminals alone.

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    if not outcomes:
        return
    with printing(file) as console:
        if len(outcomes) == 1:
            _print_one(console, outcomes[0])
            print_way_on(console, where, "it")
        else:
            print_runs(console, outcomes, metric)
            print_failures(console, outcomes, fold=False)
            print_way_on(console, where, "them")


def _print_one(console: Console, outcome: Outcome) -> None:
    took = f"{outcome.duration_s:.1f} s"
    if outcome.n_steps is not None:
        took = f"{outcome.n_steps:,} steps, {took}"
    name = elide(outcome.name, LONGEST_NAME)
    print_line(console, (f"{name}  ", "bold"), status(outcome), (took, ""))
    if outcome.failure:
        print_line(console, (f"  {on_one_line(outcome.failure)}", "red"))

    by_split: dict[str, dict[str, float]] = {}
    others: dict[str, float] = {}
    for name, value in outcome.metrics.items():
        split, _, metric = name.partition("/")
        if split in ("train", "val", "test"):
            by_split.setdefault(split, {})[metric] = value
        else:
            others[name] = value
    if by_split:
        metrics = list(dict.fromkeys(metric for values in by_split.values() for metric in values))
        splits = [split for split in ("train", "val", "test") if split in by_split]
        columns = [Column("", splits, "left")]
        for metric in metrics:
            cells = [number(metric, by_split[split].get(metric)) for split in splits]
            columns.append(Column(metric, cells, "right"))
        print_table(console, columns)
    if others:
        told = ", ".join(f"{name} {number(name, value)}" for name, value in others.items())
        print_line(console, (printable(told), ""))
    if outcome.run_id:
        print_line(console, (f"run {printable(outcome.run_id)}", ""))


def print_runs(
    console: Console, outcomes: Sequence[Outcome], metric: str, top: int | None = None
) -> None:
    """Print the finished ones of several runs as a table, the best first."""
    finished = [outcome for outcome in outcomes if outcome.status == "FINISHED"]
    if not finished:
        return
    names = differing([outcome.varied for outcome in outcomes])

    def columns(shown: Sequence[Outcome]) -> tuple[list[Column], list[Column]]:
        def column(header: str, cell: Callable[[Outcome], str]) -> Column:
            return Column(header, [cell(outcome) for outcome in shown], "right")

        def measured(name: str) -> Column:
            return column(name, lambda outcome: number(name, outcome.metrics.get(name)))

        needed = setting_columns([outcome.varied for outcome in shown], names)
        if not names:
            cells = [elide(outcome.name, LONGEST_NAME) for outcome in shown]
            needed.append(Column("name", cells, "left"))
        needed.append(measured(metric))
        recorded = (name for outcome in shown for name in outcome.metrics)
        further = [measured(name) for name in further_metrics(recorded, metric)]
        if any(outcome.duration_s >= _SHORTEST_TOLD_S for outcome in shown):
            further.append(column("seconds", lambda outcome: f"{outcome.duration_s:.1f}"))
        further.append(Column("run", [printable(outcome.run_id) for outcome in shown], "left"))
        return needed, further

    ranked = best_first(
        finished,
        metric,
        lambda outcome: outcome.metrics.get(metric),
        lambda outcome, name: outcome.metrics.get(name),
    )
    print_ranking(console, count(len(finished), "run"), metric, ranked, columns, top)
