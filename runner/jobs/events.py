"""What happens while jobs run, as messages: from workers to the session, and on to a listener.

A worker's events are plain data that can be pickled. Whoever shows them to a person is a listener;
nothing in `runner.jobs` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.jobs.plan import Plan
    from runner.jobs.rerun.comparison import Comparison
    from runner.jobs.worker.task import Task
    from runner.training.outcome import Outcome


@dataclass(frozen=True)
class Begun:
    """A run is in the store before its job is trained."""

    run_id: str


@dataclass(frozen=True)
class Progress:
    """Work was done, counted in jobs: half of a job is its training, half its recording."""

    n_jobs: float
    loss: float | None = None


@dataclass(frozen=True)
class Resumed:
    """The training of some jobs goes on from where it was saved."""

    n_jobs: int
    step: int


@dataclass(frozen=True)
class Measured:
    """The run of a job that is alone has its metrics in the store; what takes longer is to come.

    Parameters
    ----------
    name : str
    metrics : mapping of str to float
        Final values, such as ``val/loss``.
    n_steps : int
        Updates that it took.
    duration_s : float
        Seconds so far.
    to_come : tuple of str
        What is still to be recorded: ``figures``, ``model``.
    """

    name: str
    metrics: Mapping[str, float]
    n_steps: int
    duration_s: float
    to_come: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """A job has ended, whatever came of it.

    Parameters
    ----------
    position : int
        Of the job in the plan.
    outcome : Outcome or None
        None where nothing was run, because there is nothing to compare with.
    comparison : Comparison or None
        With the run that it repeats; None where it repeats none, or broke off.
    """

    position: int
    outcome: Outcome | None
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Crashed:
    """A worker died at its task."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Another process is running the same sweep; this one waits until it is done."""

    process: str


@dataclass(frozen=True)
class SweepOpened:
    """A sweep knows what is left of it to run.

    Parameters
    ----------
    plan : Plan
        With the jobs that earlier commands gave it.
    done : mapping of int to Outcome
        By position in the plan.
    is_new : bool
        Whether no earlier command has begun it.
    """

    plan: Plan
    done: Mapping[int, Outcome]
    is_new: bool


@dataclass(frozen=True)
class Started:
    """Work begins whose progress can be shown; `Progress` counts it, in jobs.

    Parameters
    ----------
    name : str
        Of the run or the sweep.
    n_jobs : int
        Jobs to run.
    n_steps : int or None
        Updates of the only job of a session that is one run; None counts jobs.
    unit : str
        What is counted, where it is not steps.
    """

    name: str
    n_jobs: int
    n_steps: int | None = None
    unit: str = "jobs"


@dataclass(frozen=True)
class JobsEnded:
    """All jobs have ended; what sums them up is still to be stored."""


@dataclass(frozen=True)
class Noted:
    """Something that a person should know and that ends nothing."""

    text: str


@dataclass(frozen=True)
class Interrupted:
    """A person or an error has ended the session early; the same command goes on with the rest."""


@dataclass(frozen=True)
class Finished:
    """The session is over: the last event, also after an interrupt.

    Parameters
    ----------
    plan : Plan
        What was to be run, with what earlier commands gave the sweep.
    outcomes : mapping of int to Outcome
        By position in the plan, those of earlier commands included. A run alone that was
        interrupted is in it as KILLED.
    comparisons : mapping of int to Comparison
        In a rerun, by position in the plan.
    run_id : str or None
        Of the sweep, or of the rerun of a sweep.
    where : str or None
        How a person gets to see the runs; None where nothing is recorded.
    duration_s : float or None
        Seconds that it took; None where nothing was left to run.
    was_stopped : bool
        Whether the first failure ended it, by `sweep.fail_fast`.
    was_interrupted : bool
        Whether a signal ended it.
    """

    plan: Plan
    outcomes: Mapping[int, Outcome]
    comparisons: Mapping[int, Comparison] = field(default_factory=dict)
    run_id: str | None = None
    where: str | None = None
    duration_s: float | None = None
    was_stopped: bool = False
    was_interrupted: bool = False


WorkerEvent = Begun | Progress | Resumed | Measured | Ended
Event = (
    WorkerEvent
    | Crashed
    | Waiting
    | SweepOpened
    | Started
    | JobsEnded
    | Noted
    | Interrupted
    | Finished
)
Listener = Callable[[Event], None]
