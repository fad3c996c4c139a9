"""The run of a sweep itself, under which its jobs are: created or opened again, and ended.

Knows how a sweep ends, not how its jobs are run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from runner.jobs.plan import Plan
from runner.jobs.sweep.earlier_jobs import settings_digest
from runner.jobs.worker.recording import close_run
from runner.report.announcements import sweep_name
from runner.system.errors import StoreError
from runner.system.signals import held
from runner.tracking import SUMMED_UP, UNREAD
from runner.training.outcome import Outcome

if TYPE_CHECKING:
    from runner.tracking import RecordedRun, RecordedSweep, Store


@contextmanager
def recorded_sweep(
    store: Store,
    plan: Plan,
    sweep: RecordedSweep | None,
    outcomes: Mapping[int, Outcome],
    begun: float,
) -> Iterator[RecordedRun]:
    """Give the run of a sweep, created or open again, and an honest end to it.

    Parameters
    ----------
    store : Store
        Where it is.
    plan : Plan
        What it runs.
    sweep : RecordedSweep or None
        What is there of it from earlier commands.
    outcomes : mapping of int to Outcome
        Filled while it is open.
    begun : float
        When this command began, on the monotonic clock.
    """
    before_s = sweep.duration_s if sweep else 0.0

    def duration() -> dict[str, str]:
        return {"runner.duration_s": f"{before_s + time.monotonic() - begun:.3f}"}

    run = None
    try:
        with held():  # a run that nobody knows of could not be closed
            run = _create(store, plan) if sweep is None else store.reopen_run(sweep.run_id)
        run.set_tags(_facts(plan))
        run.flush()
        yield run
        run.set_tags(duration() | {SUMMED_UP: "true"})
        store.close_abandoned_runs()  # of workers that were stopped by the first failure
        n_failed = sum(outcome.status == "FAILED" for outcome in outcomes.values())
        if n_failed:
            run.fail(f"{n_failed:,} of {len(plan.jobs):,} jobs failed")
        else:
            run.finish()
    except BaseException as error:
        # Where the store itself is what failed, the next start closes the runs.
        with suppress(StoreError):
            if run is not None:
                run.set_tags(duration())
                close_run(run, error)
            store.close_abandoned_runs()  # of workers that had to be killed
        raise


def _create(store: Store, plan: Plan) -> RecordedRun:
    """Create the run of a new sweep."""
    tags = {"runner.kind": "sweep", "runner.plan": plan.identity}
    return store.start_run(sweep_name(plan), {}, tags | _facts(plan))


def _facts(plan: Plan) -> dict[str, str]:
    """Return the tags of a sweep that is at work."""
    facts = {
        "runner.n_jobs": str(len(plan.jobs)),
        "runner.metric": plan.first.ranking_metric,
        SUMMED_UP: "false",
    }
    if any(not plan.jobs[position].data_digest for position in plan.asked):
        facts[UNREAD] = settings_digest(plan)
    return facts
