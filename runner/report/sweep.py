"""Results of a sweep: configurations over seeds and splits, and whether the best is better.

And the list of all sweeps of a store.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.report.runs import print_failures, print_final, print_runs
from runner.report.table import (
    LONGEST_NAME,
    Printer,
    TableColumn,
    columns_of,
    metric_columns,
    printing,
    setting_columns,
    short_ids,
)
from runner.system.formatting import count, duration, local_time, number
from runner.system.text import elide, on_one_line
from runner.tracking import SweepSummary
from runner.tracking.notes import serve_command
from runner.training.outcome import (
    Outcome,
    by_settings,
    further_metrics,
    varying_settings,
)
from runner.training.statistics import (
    Configuration,
    best_runs,
    configurations,
    ranked,
    without_replicates,
)
from runner.training.verdict import configuration_names, lead, remarks

if TYPE_CHECKING:
    from runner.jobs.sweep.ensemble import Ensemble
    from runner.tracking import RecordedSweep

# Characters of a name in the list of all sweeps, and of one beside the best's id or in a command.
_LONGEST_IN_LIST, _LONGEST_TYPED = 40, 200


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """What a person is told of a sweep."""

    name: str
    outcomes: Sequence[Outcome]
    n_jobs: int
    metric: str  # by which its best was chosen, of which the summary is
    link: str  # what to open to see the runs, or a command that shows them
    duration_s: float | None = None
    summary: SweepSummary = field(default_factory=SweepSummary)
    notes: Sequence[str] = ()
    trained_on: str = ""
    run_id: str | None = None  # of the sweep: says how to serve the model on that, if it has one
    uri: str | None = None  # of the store: says how to predict with the best
    is_named: bool = False  # whether commands find the store by its URI alone


def print_sweep(
    sweep: SweepReport,
    metrics: Sequence[str] = (),
    top: int | None = None,
) -> None:
    """Print the results of a sweep, the best configuration first.

    Where no configuration has several seeds, its runs are ranked as they are. The first of some
    metrics ranks instead of the sweep's own, and all of them are shown; `top` bounds the rows of
    the table, by default all of a few and 20 of more than 40.
    """
    metrics = metrics or [sweep.metric]
    metric, is_own = metrics[0], metrics[0] == sweep.metric
    outcomes = sorted(sweep.outcomes, key=by_settings)
    over_seeds = configurations(outcomes)
    with printing() as out:
        if sweep.name:
            out.line((elide(sweep.name, LONGEST_NAME), "bold"))
        if sweep.trained_on:
            out.line(sweep.trained_on)
        if any(len(configuration.outcomes) > 1 for configuration in over_seeds):
            _print_configurations(out, over_seeds, metrics, top)
        else:
            print_runs(out, outcomes, metrics, top)
        expected = sweep.summary.expected if is_own else None
        for line in (*remarks(outcomes, metric, expected, sweep.summary.search), *sweep.notes):
            out.line(on_one_line(line))
        print_failures(out, outcomes)
        n_waiting = sweep.n_jobs - len(outcomes)
        if n_waiting > 0:
            have = "has" if n_waiting == 1 else "have"
            out.line(
                (f"{n_waiting:,} of {count(sweep.n_jobs, 'job')} {have} no result yet", "bold")
            )
        if sweep.duration_s is not None:
            out.line(f"took {duration(sweep.duration_s)}")
        if sweep.uri is not None and (best := best_runs(outcomes, metric)):
            out.line(("best", "bold"), f"  {_name_of_best(best, over_seeds)}")
            if best == best_runs(outcomes, sweep.metric):
                _print_use(out, sweep, sweep.uri)
            elif len(best) == 1:  # the sweep's name stands for another one
                one = replace(sweep, name=best[0].run_id, summary=SweepSummary(), run_id=None)
                _print_use(out, one, sweep.uri)
        out.link(sweep.link, "them")


def _print_use(out: Printer, sweep: SweepReport, uri: str) -> None:
    """Say how to predict with the best run and serve it."""
    run_id, summary = sweep.run_id, sweep.summary
    if summary.refit:
        out.line(("refit", "bold"), f"  run {summary.refit}  {on_one_line(summary.note)}")
    named = f" --uri {shlex.quote(uri)}" if sweep.is_named else ""
    is_long = run_id is not None and len(sweep.name) > _LONGEST_TYPED
    target = str(run_id) if is_long else sweep.name
    out.command(f"  runner predict {shlex.quote(target)} FILE.csv{named}")
    if run_id is not None and summary.model:
        out.command(f"  {serve_command(uri, f'runs:/{run_id}/{summary.model}')}")


def _name_of_best(best: Sequence[Outcome], tried: Sequence[Configuration]) -> str:
    """Name a run, or the configuration whose model is the average of several."""
    if len(best) == 1:
        return f"run {best[0].run_id}  {elide(best[0].name, _LONGEST_TYPED)}"
    names = varying_settings([configuration.varied for configuration in tried])
    (name,) = configuration_names([without_replicates(best[0].varied)], names)
    return f"{name}, the average of its {len(best):,} runs"


def _print_configurations(
    out: Printer, over_seeds: Sequence[Configuration], metrics: Sequence[str], top: int | None
) -> None:
    metric, *asked = metrics
    names = varying_settings([configuration.varied for configuration in over_seeds])
    rows = ranked([row for row in over_seeds if row.outcomes], metric)
    n_runs = sum(len(configuration.outcomes) for configuration in rows)
    what = f"{count(n_runs, 'run')} of {count(len(rows), 'configuration')}"
    n_splits = max((len(row.values(metric)) for row in rows), default=0)
    what += f" over {n_splits:,} splits" if n_splits > 1 else ""

    def columns(shown: Sequence[Configuration]) -> tuple[list[TableColumn], list[TableColumn]]:
        settings = setting_columns([configuration.varied for configuration in shown], names)
        runs = (run for configuration in shown for run in configuration.outcomes)
        others = further_metrics((name for run in runs for name in run.metrics), metric)
        means = metric_columns(shown, [*metrics, *(name for name in others if name not in asked)])
        n_needed = 1 + len(metrics)
        return [*settings, *means[:n_needed]], means[n_needed:]

    out.ranking(what, metric, rows, columns, top)


def print_ensemble(ensemble: Ensemble, link: str) -> None:
    """Print what an ensemble is worth, beside the best single run."""
    metric, difference = ensemble.metric.rpartition("/")[2], ensemble.difference
    with printing() as out:
        distinct = len(set(ensemble.members))
        again = f" ({count(distinct, 'run')})" * (distinct < len(ensemble.members))
        tried = ensemble.tried
        how = "chosen greedily" if tried.is_greedy else "the best"
        out.line(
            f"{count(len(ensemble.members), 'member')}{again} of {count(tried.n_runs, 'run')},"
            f" {how} by {ensemble.metric}; val is measured on the rows that chose them"
        )
        if tried.n_pruned:
            out.line(f"{count(tried.n_pruned, 'run')} pruned: left out")
        if tried.n_others:
            have = "has" if tried.n_others == 1 else "have"
            out.line(f"{count(tried.n_others, 'run')} {have} other layers or scaling: left out")
        print_final(out, ensemble.final)
        if difference is not None:
            name, best = f"test/{metric}", ensemble.best
            out.line(
                f"{name} {number(name, ensemble.final[name])}, of the best single run"
                f" {number(name, best.source.final.get(name))}: {lead(difference, metric)}"
                " on these test rows, resampled."
            )
            out.line(f"best single run {best.run_id}")
        out.line(f"run {ensemble.run_id}")
        out.link(link, "it")


def print_sweeps(sweeps: Sequence[tuple[RecordedSweep, str]]) -> None:
    """Print a line for each sweep, given with the name of its MLflow experiment."""
    if not sweeps:
        with printing() as out:
            out.line("There are no sweeps yet. runner --multirun makes one.")
        return
    ids = short_ids([sweep.run_id for sweep, _ in sweeps])
    rows = [
        (
            elide(sweep.name, _LONGEST_IN_LIST),
            elide(experiment, _LONGEST_IN_LIST),
            _state(sweep),
            f"{sweep.n_finished or 0:,}",
            f"{sweep.n_failed or 0:,}",
            f"{sweep.n_jobs:,}",
            local_time(sweep.started_s),
            duration(_duration_s(sweep)),
            ids[sweep.run_id],
        )
        for sweep, experiment in sweeps
    ]
    headers = ("sweep", "experiment", "state", "done", "failed", "jobs", "begun", "took", "run")
    columns = columns_of(headers, rows, right=("done", "failed", "jobs", "took"))
    with printing() as out:
        out.table(columns[:7], columns[7:])


def _state(sweep: RecordedSweep) -> str:
    n_finished, n_failed = sweep.n_finished or 0, sweep.n_failed or 0
    if sweep.status == "RUNNING":
        return "running"
    if n_finished >= sweep.n_jobs:
        return "complete"
    return "some failed" if n_finished + n_failed >= sweep.n_jobs else "interrupted"


def _duration_s(sweep: RecordedSweep) -> float:
    return time.time() - sweep.started_s if sweep.status == "RUNNING" else sweep.duration_s
