"""How a sweep stands: what the store says has been done of a plan.

Read from MLflow at the start of every command, so that nothing else has to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.outcome import Outcome
from runner.plan import Plan

if TYPE_CHECKING:
    from runner.tracking import RecordedSweep, Store


@dataclass(frozen=True)
class Standing:
    """How a sweep stands in the store: its run, if it has one, and what is done of it."""

    sweep: RecordedSweep | None
    done: Mapping[int, Outcome]


def standing_of(store: Store, plan: Plan) -> Standing:
    """Read from the store what has been done of a plan."""
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return Standing(None, {})
    stands = {"FINISHED"} if plan.first.sweep.retry_failed else {"FINISHED", "FAILED"}
    positions = {job.key: position for position, job in enumerate(plan.jobs)}
    done: dict[int, Outcome] = {}
    for recorded in store.sweeps.jobs_of(sweep):
        position, outcome = positions.get(recorded.key), recorded.outcome
        if position is not None and outcome.status in stands:
            # An earlier command may have varied other settings, or have written them otherwise.
            job = plan.jobs[position]
            done[position] = replace(outcome, name=job.name, varied=job.varied)
    return Standing(sweep, done)


def rename_runs(store: Store, plan: Plan, sweep: RecordedSweep) -> None:
    """Have the runs of earlier commands say of their jobs what this one says."""
    jobs = {job.key: job for job in plan.jobs}
    for recorded in store.sweeps.jobs_of(sweep):
        job, outcome = jobs.get(recorded.key), recorded.outcome
        if job is not None and dict(outcome.varied) != dict(job.varied):
            store.sweeps.rename(outcome.run_id, job.name, job.varied)
