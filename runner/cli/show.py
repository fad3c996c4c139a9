"""Sweeps of the past, read back from the store: one as a report, all of them as a list.

Nothing is run, and nothing is changed but that runs of processes that have died are closed. It must
not know how a sweep is run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.jobs.sweep.spreadsheet import write_csv
from runner.report.sweep import SweepLine, SweepReport, print_sweep, print_sweeps
from runner.system.errors import CommandError, ConfigError, nearest
from runner.system.text import printable
from runner.training.outcome import best_first, by_settings
from runner.training.statistics import configurations, ranked

if TYPE_CHECKING:
    from runner.tracking import RecordedSweep, Store
    from runner.training.outcome import Outcome


def show_sweep(
    wanted: str | None, metric: str | None, top: int | None, *, as_csv: bool, uri: str | None
) -> None:
    """Print the report of a sweep.

    Parameters
    ----------
    wanted : str or None
        Its name or the id of its run, or how one of these begins; None is the newest.
    metric : str or None
        By which configurations are ranked; None takes the sweep's own.
    top : int or None
        Rows of the table.
    as_csv : bool
        Print every job as comma-separated values instead.
    uri : str or None
        The store, as ``tracking.uri``.

    Raises
    ------
    CommandError
        If there is no such sweep, or it has no such metric.
    RunnerError
        If the store is of no use.
    """
    stores = _stores(uri)
    sweep = _find(_sweeps(stores), wanted)
    store = stores[sweep.experiment_id]
    outcomes = sorted((job.outcome for job in store.sweeps.jobs_of(sweep)), key=by_settings)
    metric = _known(metric, outcomes)
    if as_csv:
        if metric is not None or top is not None:
            outcomes = _best(outcomes, metric or sweep.metric, top)
        write_csv(outcomes, sys.stdout)
        return
    report = SweepReport(
        title=sweep.name,
        # What was interrupted has no result, and neither has what is running: both are to come.
        outcomes=[outcome for outcome in outcomes if outcome.status != "KILLED"],
        n_jobs=max(sweep.n_jobs, len(outcomes)),
        metric=metric or sweep.metric,
        where=store.where,
        duration_s=sweep.duration_s or None,
        notes=["It is running."] if sweep.status == "RUNNING" else [],
    )
    print_sweep(report, top=top)


def _best(outcomes: Sequence[Outcome], metric: str, top: int | None) -> list[Outcome]:
    """Return the runs of the best configurations, as the table ranks them, each by its best run."""
    best = ranked(configurations(outcomes), metric)[:top]
    return [
        outcome
        for configuration in best
        for outcome in best_first(
            [*configuration.outcomes, *configuration.failures],
            metric,
            lambda outcome: outcome.metrics.get(metric),
        )
    ]


def list_sweeps(uri: str | None) -> None:
    """Print the sweeps of a store, the newest first.

    Raises
    ------
    RunnerError
        If the store is of no use.
    """
    stores = _stores(uri)
    print_sweeps([_line(stores[sweep.experiment_id], sweep) for sweep in _sweeps(stores)])


def _stores(uri: str | None) -> dict[str, Store]:
    from runner.tracking import find_stores

    stores = find_stores(uri)
    if stores:
        # The experiments are in one store: any of them closes the runs of all.
        next(iter(stores.values())).close_abandoned_runs()
    return stores


def _sweeps(stores: dict[str, Store]) -> list[RecordedSweep]:
    if not stores:
        return []
    # And any of them knows the sweeps of all.
    return next(iter(stores.values())).sweeps.all(list(stores))


def _find(sweeps: Sequence[RecordedSweep], wanted: str | None) -> RecordedSweep:
    if not sweeps:
        raise CommandError("There are no sweeps yet. runner --multirun makes one.")
    if wanted is None:
        return sweeps[0]
    for sweep in sweeps:
        if wanted in (sweep.name, sweep.run_id):
            return sweep
    begun = [s for s in sweeps if s.name.startswith(wanted) or s.run_id.startswith(wanted)]
    if len({sweep.name for sweep in begun}) == 1:
        return begun[0]
    if begun:
        several = ", ".join(dict.fromkeys(sweep.name for sweep in begun[:5]))
        raise CommandError(
            f"runner show: must be one sweep, got {wanted!r}, with which {len(begun):,} begin "
            f"({printable(several)}{', ...' if len(begun) > 5 else ''})."
        )
    names = list(dict.fromkeys(sweep.name for sweep in sweeps))
    hint = nearest(wanted, names)
    raise CommandError(
        f"runner show: must be a sweep ({printable(', '.join(names[:5]))}"
        f"{', ...' if len(names) > 5 else ''}), got {wanted!r}.{' ' + hint if hint else ''}"
        " runner sweeps lists them."
    )


def _known(metric: str | None, outcomes: Sequence[Outcome]) -> str | None:
    """Return the metric that was asked for, after making sure that there are values of it."""
    known = list(dict.fromkeys(name for outcome in outcomes for name in outcome.metrics))
    if metric is not None and metric not in known:
        rule = f"a metric of this sweep ({', '.join(known) or 'it has none yet'})"
        raise ConfigError("--metric", rule, metric, nearest(metric, known))
    return metric


def _line(store: Store, sweep: RecordedSweep) -> SweepLine:
    n_finished, n_failed = sweep.n_finished, sweep.n_failed
    if n_finished is None or n_failed is None:
        statuses = [job.outcome.status for job in store.sweeps.jobs_of(sweep)]
        n_finished, n_failed = statuses.count("FINISHED"), statuses.count("FAILED")
    if sweep.status == "RUNNING":
        state = "running"
    elif n_finished >= sweep.n_jobs:
        state = "complete"
    elif n_finished + n_failed >= sweep.n_jobs:
        state = "some failed"
    else:
        state = "interrupted"
    return SweepLine(
        name=sweep.name,
        experiment=store.experiment,
        state=state,
        n_finished=n_finished,
        n_failed=n_failed,
        n_jobs=sweep.n_jobs,
        started_s=sweep.started_s,
        duration_s=time.time() - sweep.started_s if state == "running" else sweep.duration_s,
        run_id=sweep.run_id,
    )
