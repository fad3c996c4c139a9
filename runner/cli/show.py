"""The commands `runner show`, `sweeps`, `runs`, `ui` and `ensemble`: what was run, from the store.

Nothing is trained, and runs of processes that have died are closed.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from runner.config.plugins import VARIABLE
from runner.jobs.sweep.resume import recorded_outcomes
from runner.jobs.sweep.spreadsheet import write_csv
from runner.report.runs import print_run_list
from runner.report.sweep import SweepReport, print_ensemble, print_sweep, print_sweeps
from runner.report.table import LONGEST_NAME, printing, say
from runner.system.errors import CommandError, ConfigError, listed, nearest, shorten
from runner.system.text import elide
from runner.tracking import REFIT_OF, RunQuery, job_of, started_s
from runner.tracking.backend.artifacts import local_folder
from runner.training.outcome import (
    USUAL_METRICS,
    best_outcomes,
    by_settings,
    further_metrics,
    is_metric,
)
from runner.training.paper import paper_table
from runner.training.statistics import configurations, ranked

if TYPE_CHECKING:
    from runner.tracking import RecordedJob, RecordedSweep, Store, SweepSummary
    from runner.training.outcome import Outcome


def show(
    target: str | None,
    metrics: Sequence[str],
    top: int | None,
    form: str,
    uri: str | None,
    data: str | None,
) -> None:
    """Print a run, or the report of a sweep as a `form`: table, csv, markdown or latex.

    `target` is a name or an id, or how one of these begins; None is the newest sweep. By default it
    is ranked by its own metric, and else by the first of some; a table for a paper has all of them.
    As CSV it is each job. Of a run `data` is where its rows are now. A `CommandError` says that
    there is none, or no metric.
    """
    metrics = [*dict.fromkeys(metrics)]
    stores, sweeps = _recorded(uri)
    sweep = _chosen(stores, sweeps, target)
    if sweep is None:
        from runner.cli.show_run import show_run

        given = {"--metric": metrics, "--top": top, "--format": form != "table"}
        for option in filter(given.get, given):
            raise CommandError(f"{option}: must be left out for a run; it is for a sweep's table.")
        show_run(str(target), uri, data)
        return
    if data is not None:
        raise CommandError("--data: must be left out for a sweep; it is for the rows of a run.")
    store = stores[sweep.experiment_id]
    outcomes = sorted(recorded_outcomes(store.sweeps.jobs_of(sweep)), key=by_settings)
    _say_what_is_left_out(stores)
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.metrics)
    recorded = list(filter(is_metric, names))
    own = sweep.metric if is_metric(sweep.metric) else "val/loss"
    if own != sweep.metric and not metrics:
        got = shorten(sweep.metric, 40)
        name = elide(sweep.name, LONGEST_NAME)
        say(f"{name}: is ranked by {own}: this version knows no metric {got}.")
    ranking = metrics[0] if metrics else own
    require_metrics(metrics, names, "this sweep")
    if form == "csv":
        if metrics or top is not None:
            outcomes = _best(outcomes, ranking, top)
        write_csv(outcomes, sys.stdout)
        return
    if form != "table":
        shown = metrics or [ranking, *further_metrics(recorded, ranking)]
        with printing() as out:
            for line in paper_table(outcomes, shown, top, form):
                out.line(line)
        return
    report = SweepReport(
        name=sweep.name,
        # Interrupted and running jobs have no result yet.
        outcomes=[outcome for outcome in outcomes if outcome.status != "KILLED"],
        n_jobs=max(sweep.n_jobs, len(outcomes)),
        metric=own,
        link=store.where,
        duration_s=sweep.duration_s or None,
        summary=_summary(store, sweep),
        notes=["It is running."] if sweep.status == "RUNNING" else [],
        trained_on=sweep.trained_on,
        run_id=sweep.run_id,
        uri=store.address.shown,
        is_named=store.place.is_named,
    )
    print_sweep(report, metrics, top)


def require_metrics(metrics: Iterable[str], recorded: Collection[str], whose: str) -> None:
    """Refuse what is none of the recorded metrics, or cannot be ranked without its plugin."""
    known = list(filter(is_metric, recorded))
    for metric in metrics:
        if metric in recorded and metric not in known:
            rule = f"a metric that is known here; that of a plugin needs it in {VARIABLE}"
            raise ConfigError("--metric", rule, metric)
        if metric not in known:
            shown = listed(metric, known, usual=USUAL_METRICS) or "there is none yet"
            rule = f"a metric of {whose} ({shown})"
            raise ConfigError("--metric", rule, metric, nearest(metric, known))


def _summary(store: Store, sweep: RecordedSweep) -> SweepSummary:
    """Return what sums a sweep up, without its model where that was moved.

    MLflow looks for it only where it was logged.
    """
    run = store.backend.run(sweep.run_id)
    folder = local_folder(run.artifact_uri) if run and store.address.database else None
    is_away = folder is not None and not folder.exists()
    return replace(sweep.summary, model="") if is_away else sweep.summary


def average_runs(target: str, top: int | None, data: str | None, uri: str | None) -> None:
    """Average the `top` runs of a sweep, or those that add most, and print what that is worth."""
    from runner.jobs.sweep.ensemble import make_ensemble

    stores, sweeps = _recorded(uri)
    sweep = _chosen(stores, sweeps, target)
    if sweep is None:
        raise CommandError(f"runner ensemble: must be a sweep, got {shorten(target)}, a run.")
    store = stores[sweep.experiment_id]
    print_ensemble(make_ensemble(store, sweep, top, data), store.where)


def _best(outcomes: Sequence[Outcome], metric: str, top: int | None) -> list[Outcome]:
    """Return the runs of the best configurations, as the table ranks them, each by its best run."""
    return [
        outcome
        for configuration in ranked(configurations(outcomes), metric)[:top]
        for outcome in best_outcomes([*configuration.outcomes, *configuration.failures], metric)
    ]


def list_sweeps(uri: str | None) -> None:
    """Print the sweeps of a store, the newest first."""
    stores, sweeps = _recorded(uri)
    print_sweeps(
        [
            (_counted(stores[sweep.experiment_id], sweep), stores[sweep.experiment_id].experiment)
            for sweep in sweeps
        ]
    )
    _say_what_is_left_out(stores)


def list_runs(uri: str | None, top: int | None) -> None:
    """Print the runs of a store that belong to no sweep, the newest first."""
    stores, _ = _recorded(uri)
    runs: list[tuple[RecordedJob, str, float]] = []
    if stores:
        backend = next(iter(stores.values())).backend
        found = backend.runs(RunQuery(list(stores), {"runner.kind": "run"}, without="runner.sweep"))
        runs = [
            (job_of(run), stores[run.experiment_id].experiment, started_s(run))
            for run in found
            if REFIT_OF not in run.tags
        ]
    print_run_list(runs, top)
    _say_what_is_left_out(stores)


def open_pages(uri: str | None, port: int) -> None:
    """Serve MLflow's pages of the runs of a store until Ctrl-C."""
    from runner.tracking.ui import ui

    ui(uri, port, partial(print, flush=True))


def _say_what_is_left_out(stores: Mapping[str, Store]) -> None:
    reasons = (reason for store in stores.values() for reason in store.backend.unfit.values())
    say("\n".join(dict.fromkeys(reasons)))


def _counted(store: Store, sweep: RecordedSweep) -> RecordedSweep:
    """Count the jobs of a sweep that has not been summed up."""
    if sweep.n_finished is not None and sweep.n_failed is not None:
        return sweep
    ends = [outcome.status for outcome in recorded_outcomes(store.sweeps.jobs_of(sweep))]
    return replace(
        sweep,
        n_finished=ends.count("FINISHED") + ends.count("PRUNED"),
        n_failed=ends.count("FAILED"),
    )


def _recorded(uri: str | None) -> tuple[dict[str, Store], list[RecordedSweep]]:
    """Return a store for each experiment, by its id, and the sweeps of all, the newest first."""
    from runner.tracking import find_stores

    stores = find_stores(uri)
    if not stores:
        return {}, []
    any_store = next(iter(stores.values()))  # one store, seen by several experiments
    any_store.close_abandoned_runs()
    return stores, any_store.sweeps.all(list(stores))


def _chosen(
    stores: Mapping[str, Store], sweeps: Sequence[RecordedSweep], wanted: str | None
) -> RecordedSweep | None:
    """Return the sweep that is wanted; None if that is another run."""
    if not sweeps and (wanted is None or not stores):
        raise CommandError("There are no sweeps yet. runner --multirun makes one.")
    if wanted is None:
        return sweeps[0]
    from runner.tracking import run_id_of

    store = next(iter(stores.values()))
    run_id = run_id_of(store.backend, wanted, store.address.shown)
    return next((sweep for sweep in sweeps if sweep.run_id == run_id), None)
