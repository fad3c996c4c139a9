"""What an executor is: something that runs tasks, here or elsewhere, and passes on their events.

To run tasks in another kind of place is one more class of this form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from runner.jobs.events import Crashed, Notice, WorkerEvent
from runner.jobs.worker.stack_run import run_stack
from runner.jobs.worker.task import Task

# The one function that workers call, with a task and with what tells it to stop.
Work = Callable[..., Generator[WorkerEvent, None, None]]
Events = Generator[WorkerEvent | Crashed | Notice, None, None]


@dataclass(frozen=True)
class DataFile:
    """A data file that every worker must have, with the content that the plan was made with.

    `config` is that of a job that reads it, as plain values, and `folder` where its path starts.
    """

    config: Mapping[str, Any]
    folder: str
    digest: str


class Executor(ABC):
    """A context manager that runs tasks, `capacity` at a time, and leaves nothing behind.

    It may be left twice: as soon as no task is left, and at the end of the command.
    """

    # Whether workers may be on other machines: they share no folder with this process, and nobody
    # here can tell whether one of them still lives.
    is_remote = False
    # How many workers a job may cost before it counts as failed. The last of them has no other job:
    # on this machine, a job that was alone when its worker died has killed it.
    most_deaths = 1

    def __init__(self, capacity: int, work: Work = run_stack) -> None:
        # What workers reported while they were being ended, after `events` was left.
        self.late: list[WorkerEvent] = []
        # Called with each task when its turn has come; returns it as its worker gets it.
        self.on_turn: Callable[[Task], Task] = lambda task: task
        self._capacity, self._work = capacity, work
        self._waiting: deque[Task] = deque()

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, _kind: object, error: BaseException | None, *_: object) -> None:
        """End the workers, those that are at a task too, which closes what it has open."""

    @property
    def capacity(self) -> int:
        """How many tasks run at the same time at most."""
        return self._capacity

    def require_workers(self, files: Sequence[DataFile], mark: Path | None = None) -> None:  # noqa: B027  (forks cannot differ)
        """Raise `RunnerError` if a worker lacks a data file, or would have other results.

        Or if it does not see the file `mark` as it is here, in the folder that all share.
        """

    def add(self, tasks: Sequence[Task], *, first: bool = False) -> None:
        """Put tasks behind those that wait, or before them."""
        if first:
            self._waiting.extendleft(reversed(tasks))
        else:
            self._waiting.extend(tasks)

    def _next(self) -> Task:
        """Take the task whose turn has come."""
        return self.on_turn(self._waiting.popleft())

    @abstractmethod
    def events(self) -> Events:
        """Go through what the tasks yield, as it comes, and through each `Crashed`.

        Raises `RunnerError` if a worker met one that ends the session, such as a store that fails;
        a `ClusterError` if the workers are out of reach.
        """
