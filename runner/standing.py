"""How a sweep stands: what the store says has been done of a plan.

Read from MLflow at the start of every command, so that nothing else has to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.outcome import Outcome
from runner.plan import Plan, PlannedJob

if TYPE_CHECKING:
    from runner.tracking import RecordedSweep, Store


@dataclass(frozen=True)
class Standing:
    """How a sweep stands in the store.

    Parameters
    ----------
    sweep : RecordedSweep or None
        Its run, if it has one.
    done : mapping of int to Outcome
        What is done of it, by position in the plan.
    outdated : mapping of str to PlannedJob
        Runs of earlier commands that varied other settings, or wrote them otherwise, by their ids.
    """

    sweep: RecordedSweep | None = None
    done: Mapping[int, Outcome] = field(default_factory=dict)
    outdated: Mapping[str, PlannedJob] = field(default_factory=dict)


def standing_of(store: Store, plan: Plan) -> Standing:
    """Read from the store what has been done of a plan."""
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return Standing()
    stands = {"FINISHED"} if plan.first.sweep.retry_failed else {"FINISHED", "FAILED"}
    positions = {job.key: position for position, job in enumerate(plan.jobs)}
    done: dict[int, Outcome] = {}
    outdated: dict[str, PlannedJob] = {}
    for recorded in store.sweeps.jobs_of(sweep):
        position, outcome = positions.get(recorded.key), recorded.outcome
        if position is None:
            continue
        job = plan.jobs[position]
        if outcome.status in stands:
            done[position] = replace(outcome, name=job.name, varied=job.varied)
        if dict(outcome.varied) != dict(job.varied):
            outdated[outcome.run_id] = job
    return Standing(sweep, done, outdated)


def rename_runs(store: Store, standing: Standing) -> None:
    """Have the runs of earlier commands say of their jobs what this one says."""
    for run_id, job in standing.outdated.items():
        store.sweeps.rename(run_id, job.name, job.varied)
