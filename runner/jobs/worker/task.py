"""What a worker is told, and what it tells: the plan and where it goes; the events on the way.

Shared by who works and who has the work done. Knows neither processes nor training.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runner.jobs.plan import Plan
from runner.jobs.worker.recording import begin_run, record_failure
from runner.training.outcome import Outcome
from runner.training.train import Result

if TYPE_CHECKING:
    from runner.tracking import RecordedRun, Store


@dataclass(frozen=True)
class Progress:
    """The event of work done, counted in jobs: half of a job is its training, half its record."""

    n_jobs: float
    loss: float | None = None


@dataclass(frozen=True)
class Begun:
    """The event of a run that is in the store before its job is trained."""

    run_id: str


@dataclass(frozen=True)
class Resumed:
    """The event of a training that goes on from where it was saved."""

    n_jobs: int
    step: int


class Judgement(Protocol):
    """What is thought of what a job left."""

    @property
    def tags(self) -> Mapping[str, str]:
        """What its run says of it."""
        ...


@dataclass(frozen=True)
class Ended:
    """The event of a job that is recorded, whatever came of it."""

    position: int
    outcome: Outcome
    judgement: Judgement | None = None


Event = Begun | Progress | Resumed | Ended
Events = Generator[Event, None, None]


@dataclass(frozen=True)
class Assignment:
    """What whoever works on a plan is told, once.

    Parameters
    ----------
    plan : Plan
        All jobs.
    store : Store or None
        Where they are recorded; None records nothing.
    wanted : collection of int
        Positions of the jobs to be recorded; others may be trained along.
    alone : bool
        Whether it is a run of its own: shown from its first step, with figures and a loadable
        model, and what fails in it is raised. Of others, a job that fails costs itself alone.
    sweep_id : str or None
        The run of the sweep; None where it is not recorded, or where there is no sweep.
    parents : mapping of int to str
        The run that a job is listed under, where there is one.
    states : Path or None
        The folder for states of long trainings; None saves none.
    """

    plan: Plan
    store: Store | None
    wanted: Collection[int]
    alone: bool = False
    sweep_id: str | None = None
    parents: Mapping[int, str] | None = None
    states: Path | None = None

    @property
    def recording(self) -> Store:
        """The store, of an assignment that has one."""
        if self.store is None:
            raise ValueError("nothing of this assignment is recorded")
        return self.store

    def tags(self, position: int) -> Mapping[str, str]:  # noqa: ARG002  (for whom overrides it)
        """Return what the run of a job is to say beside what all runs do."""
        return {}

    def judge(self, position: int, result: Result) -> Judgement | None:  # noqa: ARG002  (as above)
        """Judge what a job left, before it is recorded; None where nobody asked."""
        return None

    def begin(
        self,
        position: int,
        started_s: float,
        *,
        flush_every_s: float | None = None,
        result: Result | None = None,
    ) -> RecordedRun:
        """Create the run of a job; see `begin_run`."""
        return begin_run(
            self.recording,
            self.plan.jobs[position],
            sweep_id=self.sweep_id,
            parent_run_id=self.parent(position),
            started_s=started_s,
            flush_every_s=flush_every_s,
            result=result,
            more_tags=self.tags(position),
        )

    def fail(self, position: int, reason: str, run_id: str | None = None) -> Ended:
        """Record a job that could not be trained, unless it has a run that says so already."""
        job = self.plan.jobs[position]
        if run_id is None and self.store is not None:
            parent = self.parent(position)
            run_id = record_failure(
                self.store,
                job,
                reason,
                sweep_id=self.sweep_id,
                parent_run_id=parent,
                more_tags=self.tags(position),
            )
        run_id = run_id or ""
        return Ended(position, Outcome(job.name, run_id, "FAILED", job.varied, {}, reason, 0.0))

    def parent(self, position: int) -> str | None:
        """Return the run that a job is listed under."""
        return (self.parents or {}).get(position, self.sweep_id)
