"""What came out of a sweep: configurations over their seeds, and whether the best one is better.

It must not know how a sweep is planned or run: it sees outcomes, and how many there should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from runner.report.console import print_line, print_way_on, printing
from runner.report.failures import print_failures
from runner.report.ranking import further_metrics, print_ranking
from runner.report.runs import print_runs
from runner.report.settings import LONGEST_NAME, differing, in_words, setting_columns
from runner.report.table import Column
from runner.system.formatting import count, duration, interval, measured
from runner.system.text import elide, on_one_line
from runner.training.outcome import Outcome, by_settings
from runner.training.statistics import Configuration, compare, configurations, ranked
from softnet import higher_is_better

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class SweepReport:
    """What there is to tell of a sweep.

    Parameters
    ----------
    title : str
        What the sweep is called; may be empty.
    outcomes : sequence of Outcome
        Of all jobs that have one.
    n_jobs : int
        How many jobs there are.
    metric : str
        By which configurations are ranked.
    where : str
        How to see the runs: a link to open, or a command.
    duration_s : float or None
        Seconds that the sweep took, where they are known.
    notes : sequence of str
        Lines to add, such as ``3 points were given twice and run once``.
    """

    title: str
    outcomes: Sequence[Outcome]
    n_jobs: int
    metric: str
    where: str
    duration_s: float | None = None
    notes: Sequence[str] = ()


def print_sweep(report: SweepReport, file: TextIO | None = None, top: int | None = None) -> None:
    """Print what came out of a sweep, the best configuration first.

    Where no configuration has several seeds, its runs are ranked as they are.

    Parameters
    ----------
    report : SweepReport
    file : text file, optional
        By default the standard output. Colours and cuts to the width are for terminals alone.
    top : int, optional
        How many rows the table has, 1 or above; by default all of a few, 20 of more than 40.

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    with printing(file) as console:
        if report.title:
            print_line(console, (elide(report.title, LONGEST_NAME), "bold"))
        outcomes = sorted(report.outcomes, key=by_settings)
        folded = configurations(outcomes)
        if any(len(configuration.outcomes) > 1 for configuration in folded):
            _print_configurations(console, folded, report.metric, top)
        else:
            print_runs(console, outcomes, report.metric, top)
        for note in report.notes:
            print_line(console, (on_one_line(note), ""))
        print_failures(console, outcomes, fold=True)
        waiting = report.n_jobs - len(report.outcomes)
        if waiting > 0:
            have = "has" if waiting == 1 else "have"
            jobs = f"{waiting:,} of {count(report.n_jobs, 'job')} {have} not run"
            print_line(console, (jobs, "bold"))
        if report.duration_s is not None:
            print_line(console, (f"took {duration(report.duration_s)}", ""))
        print_way_on(console, report.where, "them")


def _print_configurations(
    console: Console, folded: Sequence[Configuration], metric: str, top: int | None
) -> None:
    names = differing([configuration.varied for configuration in folded])
    rows = ranked([configuration for configuration in folded if configuration.outcomes], metric)
    n_runs = sum(len(configuration.outcomes) for configuration in rows)
    what = f"{count(n_runs, 'run')} of {count(len(rows), 'configuration')}"

    def columns(shown: Sequence[Configuration]) -> tuple[list[Column], list[Column]]:
        settings = setting_columns([configuration.varied for configuration in shown], names)
        runs = (run for configuration in shown for run in configuration.outcomes)
        further = further_metrics((name for run in runs for name in run.metrics), metric)
        means, numbers = _over_seeds(shown, metric)
        return [*settings, means, numbers], [_over_seeds(shown, name)[0] for name in further]

    print_ranking(console, what, metric, rows, columns, top)
    if len(rows) > 1 and (verdict := _verdict(rows[0], rows[1], metric, names)):
        print_line(console, (verdict, ""))


def _over_seeds(shown: Sequence[Configuration], metric: str) -> tuple[Column, Column]:
    """Make a column of means, each ``±`` half the width of its interval, and one of their seeds."""
    summaries = [configuration.summary(metric) for configuration in shown]
    parts = [
        ("", "") if summary is None else measured(metric, summary.mean, summary.half_width)
        for summary in summaries
    ]
    widest = max((len(half_width) for _, half_width in parts), default=0)
    cells = [
        mean + (f" ± {half_width:<{widest}}" if half_width else " " * (widest and widest + 3))
        for mean, half_width in parts
    ]
    numbers = [f"{summary.n if summary else 0:,}" for summary in summaries]
    return Column(metric, cells, "right"), Column("n", numbers, "right")


def _verdict(
    best: Configuration, runner_up: Configuration, metric: str, names: Mapping[str, str]
) -> str | None:
    """Say whether two configurations differ by more than their seeds do; None if it is unknown."""
    comparison = compare(best, runner_up, metric)
    better, worse = in_words(best.varied, names), in_words(runner_up.varied, names)
    if comparison is None or not math.isfinite(comparison.high - comparison.low):
        if max(len(best.outcomes), len(runner_up.outcomes)) < 2:
            return None
        return f"{better} and {worse} have too few seeds in common to be compared."
    lead, low, high = comparison.difference, comparison.low, comparison.high
    if not higher_is_better(metric):
        lead, low, high = -lead, -high, -low
    if not comparison.distinguishable:
        return (
            f"{better} and {worse} are not distinguishable in {metric} with {comparison.n:,} seeds:"
            f" difference {interval(lead, low, high)}."
        )
    if lead < 0:  # over the seeds that both have, it may be the other way round
        better, worse, lead, low, high = worse, better, -lead, -high, -low
    return (
        f"{better} is better than {worse} by {interval(lead, low, high)} in {metric}"
        f" over {comparison.n:,} common seeds."
    )
