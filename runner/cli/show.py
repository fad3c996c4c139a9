"""The commands `runner show`, `sweeps` and `ensemble`, of sweeps that a store has.

Nothing is trained, and runs of processes that have died are closed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.jobs.sweep.resume import recorded_outcomes
from runner.jobs.sweep.spreadsheet import write_csv
from runner.report.sweep import print_ensemble, print_sweep, print_sweeps
from runner.report.table import say
from runner.system.errors import CommandError, ConfigError, nearest, shorten
from runner.system.text import printable
from runner.training.outcome import best_first, by_settings, is_metric
from runner.training.statistics import configurations, ranked

if TYPE_CHECKING:
    from runner.tracking import RecordedSweep, Store
    from runner.training.outcome import Outcome


def show_sweep(
    wanted: str | None, metric: str | None, top: int | None, *, as_csv: bool, uri: str | None
) -> None:
    """Print the report of a sweep, or each of its jobs as comma-separated values.

    `wanted` is its name or the id of its run, or how one of these begins; None is the newest. By
    default it is ranked by its own metric. A `CommandError` says that there is none, or no metric.
    """
    stores, sweeps = _recorded(uri)
    sweep = _chosen(sweeps, wanted)
    store = stores[sweep.experiment_id]
    outcomes = sorted(recorded_outcomes(store.sweeps.jobs_of(sweep)), key=by_settings)
    _say_what_is_left_out(stores)
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.metrics)
    recorded = list(filter(is_metric, names))
    ranking = metric or sweep.metric
    if not is_metric(ranking):
        ranking = "val/loss"
        got = shorten(sweep.metric, 40)
        say(f"{sweep.name}: is ranked by {ranking}: this version knows no metric {got}.")
    if metric is not None and metric not in recorded:
        rule = f"a metric of this sweep ({', '.join(recorded) or 'it has none yet'})"
        raise ConfigError("--metric", rule, metric, nearest(metric, recorded))
    if as_csv:
        if metric is not None or top is not None:
            outcomes = _best(outcomes, ranking, top)
        write_csv(outcomes, sys.stdout)
        return
    print_sweep(
        sweep.name,
        # Interrupted and running jobs have no result yet.
        [outcome for outcome in outcomes if outcome.status != "KILLED"],
        n_jobs=max(sweep.n_jobs, len(outcomes)),
        metric=ranking,
        link=store.where,
        duration_s=sweep.duration_s or None,
        expected=sweep.expected if ranking == sweep.metric else None,
        notes=["It is running."] if sweep.status == "RUNNING" else [],
        top=top,
    )


def average_runs(wanted: str, top: int | None, *, data: str | None, uri: str | None) -> None:
    """Average the `top` runs of a sweep, or those that add most, and print what that is worth."""
    from runner.jobs.sweep.ensemble import make_ensemble

    stores, sweeps = _recorded(uri)
    sweep = _chosen(sweeps, wanted, "runner ensemble")
    store = stores[sweep.experiment_id]
    print_ensemble(make_ensemble(store, sweep, top, data), store.where)


def _best(outcomes: Sequence[Outcome], metric: str, top: int | None) -> list[Outcome]:
    """Return the runs of the best configurations, as the table ranks them, each by its best run."""
    return [
        outcome
        for configuration in ranked(configurations(outcomes), metric)[:top]
        for outcome in best_first(
            [*configuration.outcomes, *configuration.failures],
            metric,
            lambda outcome: outcome.metrics.get(metric),
        )
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


def _say_what_is_left_out(stores: Mapping[str, Store]) -> None:
    reasons = (reason for store in stores.values() for reason in store.backend.unfit.values())
    say("\n".join(dict.fromkeys(reasons)))


def _counted(store: Store, sweep: RecordedSweep) -> RecordedSweep:
    """Count the jobs of a sweep that has not been summed up."""
    if sweep.n_finished is not None and sweep.n_failed is not None:
        return sweep
    ends = [outcome.status for outcome in recorded_outcomes(store.sweeps.jobs_of(sweep))]
    return replace(sweep, n_finished=ends.count("FINISHED"), n_failed=ends.count("FAILED"))


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
    sweeps: Sequence[RecordedSweep], wanted: str | None, command: str = "runner show"
) -> RecordedSweep:
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
            f"{command}: must be one sweep, got {wanted!r}, with which {len(begun):,} begin "
            f"({printable(several)}{', ...' if len(begun) > 5 else ''})."
        )
    names = list(dict.fromkeys(sweep.name for sweep in sweeps))
    hint = nearest(wanted, names)
    raise CommandError(
        f"{command}: must be a sweep ({printable(', '.join(names[:5]))}"
        f"{', ...' if len(names) > 5 else ''}), got {wanted!r}.{' ' + hint if hint else ''}"
        " runner sweeps lists them."
    )
