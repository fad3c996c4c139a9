"""What happens while jobs run, as messages: from workers to the session, and on to a listener.

A worker's events are plain data that can be pickled. Whoever shows them to a person is a listener;
nothing in `runner.jobs` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from runner.tracking import SweepSummary

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.jobs.plan import Plan
    from runner.jobs.rerun.comparison import Comparison
    from runner.jobs.rerun.request import RerunRequest
    from runner.jobs.search import SearchComparison
    from runner.jobs.worker.task import Task
    from runner.training.outcome import Outcome
    from runner.training.prepare import Prepared


class RunStarted(NamedTuple):
    """A run is in the store before its job is trained."""

    run_id: str


class Progress(NamedTuple):
    """Work was done, counted as `Started` says: in steps of a run of its own, else in jobs."""

    n: float
    loss: float | None = None


class Resumed(NamedTuple):
    """The training of some jobs goes on from where it was saved."""

    step: int
    epoch: int | None = None  # the last one before that step, of a budget in epochs


class Reached(NamedTuple):
    """A job has come to a rung of a search: what it is worth there, NaN where it has failed.

    Its training was saved by the name `state`, where there is a place for it.
    """

    position: int
    step: int
    value: float
    loss: float
    state: str | None = None


class Measured(NamedTuple):
    """The run of a job that is alone has its metrics in the store; what takes longer is to come."""

    name: str
    metrics: Mapping[str, float]  # final values, such as ``val/loss``
    n_steps: int  # updates that it took
    duration_s: float  # seconds of training
    to_come: tuple[str, ...]  # what is still to be recorded: ``figures``, ``model``
    trained_on: str = ""  # the data in a line
    # What classes are called, by what stands for them in the names of metrics.
    class_names: Mapping[str, str] = {}


class Ended(NamedTuple):
    """A job has ended, whatever came of it; `position` is its place in the plan.

    Without an outcome nothing was run, because there is nothing to compare with; without a
    comparison it repeats no run, or broke off.
    """

    position: int
    outcome: Outcome | None
    comparison: Comparison | None = None


class Crashed(NamedTuple):
    """A worker died at its task."""

    task: Task
    reason: str


class Waiting(NamedTuple):
    """Another process is running the same sweep; this one waits until it is done."""

    process: str


class SweepOpened(NamedTuple):
    """A sweep knows what is left of it to run; what is done comes by position in the plan."""

    plan: Plan
    done: Mapping[int, Outcome]
    is_new: bool


class DataRead(NamedTuple):
    """A person's file was read, as the first jobs will have it, of which one is given."""

    experiment: Experiment
    prepared: Prepared
    example: str = ""  # the file that ships, where it stands for one that was not named


class RerunPlanned(NamedTuple):
    """What a rerun repeats is known; its plan is None where nothing of it can be run."""

    rerun: RerunRequest


class Started(NamedTuple):
    """Work begins whose progress can be shown; `Progress` counts it, `n` of a `unit` in all."""

    name: str
    n: int
    unit: str = "jobs"


@dataclass(frozen=True)
class JobsEnded:
    """All jobs have ended; what sums them up is still to be stored."""


class Notice(NamedTuple):
    """Something that a person should know and that ends nothing."""

    text: str


@dataclass(frozen=True)
class Interrupted:
    """A person or an error has ended the session early; the same command goes on with the rest."""


class Finished(NamedTuple):
    """The session is over: the last event, also after an interrupt.

    Outcomes and comparisons come by position in the plan, those of earlier commands included; a run
    alone that was interrupted is KILLED. `run_id` is that of the sweep, or of the rerun of one.
    `where` a person gets to see the runs, and the `uri` of their store, are None where nothing is
    recorded, and the duration in seconds where nothing was left to run. By `sweep.fail_fast` a
    first failure has stopped it. `trained_on` describes the data of a sweep in a line.
    """

    plan: Plan
    outcomes: Mapping[int, Outcome]
    comparisons: Mapping[int, Comparison] = {}
    run_id: str | None = None
    where: str | None = None
    uri: str | None = None
    trained_on: str = ""
    duration_s: float | None = None
    was_stopped: bool = False
    was_interrupted: bool = False
    search: SearchComparison | None = None
    summary: SweepSummary = SweepSummary()


WorkerEvent = RunStarted | Progress | Resumed | Reached | Measured | Ended
Event = (
    WorkerEvent
    | Crashed
    | Waiting
    | SweepOpened
    | DataRead
    | RerunPlanned
    | Started
    | JobsEnded
    | Notice
    | Interrupted
    | Finished
)
Listener = Callable[[Event], None]
