"""What a worker is told: one stack of jobs, as plain data that can be pickled."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from runner.config.plain import to_plain
from runner.config.schema import Experiment
from runner.jobs.plan import Plan, PlannedJob

if TYPE_CHECKING:
    from runner.jobs.rerun.verify import Reference
    from runner.tracking import StoreAddress


@dataclass(frozen=True)
class TaskJob:
    """One job of a task.

    Parameters
    ----------
    position : int
        In the plan.
    changes : mapping of str to object
        The sections of its config that differ from those of the task's base.
    name, varied, key, data_digest, split_digest, choices
        As in `PlannedJob`.
    is_wanted : bool
        Whether it is to be recorded; others are trained along, to go on with a saved training.
    parent_run_id : str or None
        The run that it is listed under.
    reference : Reference or None
        The record that it repeats.
    """

    position: int
    changes: Mapping[str, Any]
    name: str
    varied: Mapping[str, str]
    key: str
    data_digest: str
    split_digest: str
    choices: Mapping[str, str]
    is_wanted: bool = True
    parent_run_id: str | None = None
    reference: Reference | None = None


@dataclass(frozen=True)
class Task:
    """A stack of jobs to be trained together and recorded one by one.

    Parameters
    ----------
    base : mapping of str to object
        The config of the first job.
    jobs : tuple of TaskJob
        At least one.
    store : StoreAddress or None
        Where they are recorded; None records nothing.
    sweep_id : str or None
        The run of the sweep, or of the rerun of one.
    states : str or None
        The folder for states of long trainings; None saves none.
    stack : str
        What the runs of a stack have in common, however often parts of it are tried again; the tag
        ``runner.stack``. Empty for a run of its own.
    folder : str or None
        Where relative paths of data start, for a worker that is elsewhere; None for its own folder.
    is_remote : bool
        Whether an earlier try of the same jobs may have left runs that nobody else closes.
    is_alone : bool
        Whether it is a run of its own: shown from its first step, with figures and a loadable
        model, and what fails in it is raised. Of others, a job that fails costs itself alone.
    """

    base: Mapping[str, Any] = field(repr=False)
    jobs: tuple[TaskJob, ...]
    store: StoreAddress | None
    sweep_id: str | None = None
    states: str | None = None
    stack: str = ""
    folder: str | None = None
    is_remote: bool = False
    is_alone: bool = False

    @property
    def wanted(self) -> tuple[TaskJob, ...]:
        """The jobs that are to be recorded."""
        return tuple(job for job in self.jobs if job.is_wanted)

    def config(self, job: TaskJob) -> dict[str, Any]:
        """Return the config of one of its jobs, as plain data."""
        return {**self.base, **job.changes}

    def planned(self, job: TaskJob) -> PlannedJob:
        """Return one of its jobs as the plan had it."""
        return PlannedJob(
            experiment=Experiment.from_dict(self.config(job)),
            name=job.name,
            varied=job.varied,
            key=job.key,
            data_digest=job.data_digest,
            split_digest=job.split_digest,
            shape=None,
            choices=job.choices,
        )

    def only(self, positions: Collection[int]) -> Self:
        """Return the task of some of its jobs."""
        return replace(self, jobs=tuple(job for job in self.jobs if job.position in positions))


def make_task(
    plan: Plan,
    stack: Sequence[int],
    *,
    store: StoreAddress | None,
    wanted: Collection[int] | None = None,
    parents: Mapping[int, str] | None = None,
    references: Sequence[Reference] = (),
    sweep_id: str | None = None,
    states: str | None = None,
    folder: str | None = None,
    is_remote: bool = False,
    is_alone: bool = False,
) -> Task:
    """Make the task of a stack.

    Parameters
    ----------
    plan : Plan
    stack : sequence of int
        Positions in the plan; at least one.
    wanted : collection of int or None
        Positions of the jobs to be recorded; None for all of them.
    parents : mapping of int to str or None
        The runs that jobs are listed under, by position; others are listed under the sweep.
    references : sequence of Reference
        The record that each job of the plan repeats; empty where they repeat none.
    store, sweep_id, states, folder, is_remote, is_alone
        As in `Task`.
    """
    base = to_plain(plan.jobs[stack[0]].experiment)
    jobs = []
    for position in stack:
        job = plan.jobs[position]
        config = to_plain(job.experiment)
        jobs.append(
            TaskJob(
                position=position,
                changes={key: value for key, value in config.items() if base[key] != value},
                name=job.name,
                varied=job.varied,
                key=job.key,
                data_digest=job.data_digest,
                split_digest=job.split_digest,
                choices=job.choices,
                is_wanted=wanted is None or position in wanted,
                parent_run_id=(parents or {}).get(position, sweep_id),
                reference=references[position] if references else None,
            )
        )
    keys = "\n".join(job.key for job in jobs)
    name = "" if is_alone else hashlib.sha256(keys.encode()).hexdigest()[:16]
    return Task(base, tuple(jobs), store, sweep_id, states, name, folder, is_remote, is_alone)
