"""How a sweep stands: what the store says has been done of a plan.

Read from MLflow at the start of every command, so that nothing else has to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.jobs.plan import Plan, PlannedJob
from runner.training.outcome import Outcome

if TYPE_CHECKING:
    from runner.tracking import RecordedJob, RecordedSweep, Store


@dataclass(frozen=True)
class Standing:
    """How a sweep stands in the store.

    Parameters
    ----------
    sweep : RecordedSweep or None
        Its run, if it has one.
    done : mapping of int to Outcome
        What is done of it, by position in the plan.
    recorded : mapping of int to RecordedJob
        What has a run, by position in the plan.
    replaced : tuple of RecordedJob
        Runs of jobs whose data have changed since.
    """

    sweep: RecordedSweep | None = None
    done: Mapping[int, Outcome] = field(default_factory=dict)
    recorded: Mapping[int, RecordedJob] = field(default_factory=dict)
    replaced: tuple[RecordedJob, ...] = ()


def standing_of(store: Store, plan: Plan) -> Standing:
    """Read from the store what has been done of a plan."""
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return Standing()
    # What this command has not asked for is not tried again by it.
    left = plan.earlier if plan.first.sweep.retry_failed else range(len(plan.jobs))
    positions = {job.key: position for position, job in enumerate(plan.jobs)}
    done: dict[int, Outcome] = {}
    recorded: dict[int, RecordedJob] = {}
    replaced: list[RecordedJob] = []
    for found in store.sweeps.jobs_of(sweep):
        position, outcome = positions.get(found.key), found.outcome
        if position is None:
            if found.key in plan.replaced:
                replaced.append(found)
            continue
        recorded[position] = found
        if outcome.status == "FINISHED" or (outcome.status == "FAILED" and position in left):
            done[position] = _in_words_of(plan.jobs[position], outcome)
    return Standing(sweep, done, recorded, tuple(replaced))


def _in_words_of(job: PlannedJob, outcome: Outcome) -> Outcome:
    return replace(outcome, name=job.name, varied=job.varied)


def recorded_outcomes(plan: Plan, standing: Standing) -> dict[int, Outcome]:
    """Return what has ended, also what this command would try again, by position in the plan."""
    return {
        position: _in_words_of(plan.jobs[position], found.outcome)
        for position, found in standing.recorded.items()
        if found.outcome.status != "KILLED"
    }


def bring_up_to_date(
    store: Store, plan: Plan, standing: Standing, parents: Mapping[int, str]
) -> None:
    """Have the runs of earlier commands say of their jobs what this one says.

    Parameters
    ----------
    store : Store
        Where they are.
    plan : Plan
        What this one says.
    standing : Standing
        What they say.
    parents : mapping of int to str
        The groups that jobs are listed under, by position in the plan.

    Raises
    ------
    StoreError
        If the store fails.
    """
    for position in outdated(plan, standing):
        job = plan.jobs[position]
        store.sweeps.rename(standing.recorded[position].outcome.run_id, job.name, job.varied)
    for position, found in standing.recorded.items():
        # A job whose seeds have come since was listed under the sweep itself.
        if parents.get(position, found.parent) != found.parent:
            store.sweeps.list_under(found.outcome.run_id, parents[position])


def outdated(plan: Plan, standing: Standing) -> list[int]:
    """Return the positions of the jobs whose runs say other settings, or write them otherwise."""
    return [
        position
        for position, found in standing.recorded.items()
        if dict(found.outcome.varied) != dict(plan.jobs[position].varied)
    ]
