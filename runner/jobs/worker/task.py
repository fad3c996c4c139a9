"""What a worker is told: one stack of jobs, as plain data that can be pickled."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from runner.jobs.plan import Plan, PlannedJob

if TYPE_CHECKING:
    from runner.jobs.rerun.verify import Reference
    from runner.tracking import StoreAddress, Turn


@dataclass(frozen=True)
class TaskJob:
    """One job of a task."""

    position: int  # in the plan
    planned: PlannedJob
    parent_run_id: str | None = None  # the run that it is listed under
    reference: Reference | None = None  # the record that it repeats
    # The name of its saved training, and its key in there; without one, it starts from the
    # beginning.
    source: tuple[str, str] | None = None


@dataclass(frozen=True)
class Task:
    """A stack of jobs to be trained together and recorded one by one."""

    jobs: tuple[TaskJob, ...]  # at least one
    # What the runs of a stack have in common, however often parts of it are tried again; the tag
    # ``runner.stack``. Empty for a run of its own.
    stack: str
    store: StoreAddress | None  # where they are recorded; None records nothing
    sweep_id: str | None = None  # the run of the sweep, or of the rerun of one
    # What its command must hold for as long as workers record; None where nobody else records.
    turn: Turn | None = None
    # The place for states of long trainings, see `open_states`; None saves none.
    states: str | None = None
    is_resumed: bool = False  # whether it goes on from what an earlier command has saved
    # Where relative paths of data start, for a worker that is elsewhere; None for its own folder.
    folder: str | None = None
    # Whether an earlier try of the same jobs may have left runs that nobody else closes.
    is_remote: bool = False
    # Whether it is a run of its own: shown from its first step, with figures and a loadable model,
    # and what fails in it is raised. Of others, a job that fails costs itself alone.
    is_alone: bool = False
    # The step of a rung: the jobs are trained to it, their state is saved, and nothing recorded.
    until: int | None = None
    # Further steps at which it is told what the jobs are worth, as they pass.
    rungs: tuple[int, ...] = ()
    metric: str = "val/loss"  # by which a search compares the jobs
    tags: Mapping[str, str] = field(default_factory=dict)  # what else tells their runs from others

    def only(self, positions: Collection[int]) -> Self:
        """Return the task of some of its jobs."""
        return replace(self, jobs=tuple(job for job in self.jobs if job.position in positions))


def make_task(
    plan: Plan,
    stack: Sequence[int],
    *,
    references: Sequence[Reference] = (),
    sources: Mapping[int, tuple[str, str]] | None = None,
    **common: Any,  # noqa: ANN401  (the fields of a task)
) -> Task:
    """Make the task of a stack, given by positions in the plan; `common` has its other fields.

    The `references` are of all jobs of the plan, or none; the `sources`, by position, are the saved
    trainings that jobs go on from.
    """
    jobs = tuple(
        TaskJob(
            position,
            replace(plan.jobs[position], shape=None),
            common.get("sweep_id"),
            references[position] if references else None,
            (sources or {}).get(position),
        )
        for position in stack
    )
    keys = "\n".join(job.planned.key for job in jobs)
    name = "" if common.get("is_alone") else hashlib.sha256(keys.encode()).hexdigest()[:16]
    return Task(jobs, name, **common)
