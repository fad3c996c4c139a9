"""What an executor is: something that runs tasks, here or elsewhere, and passes on their events.

To run tasks in another kind of place is one more class of this form.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Protocol, Self

from runner.jobs.events import Crashed, WorkerEvent
from runner.jobs.worker.task import Task

# The one function that workers call: `runner.jobs.worker.stack_run.run_stack`.
Work = Callable[[Task], Generator[WorkerEvent, None, None]]


class Executor(Protocol):
    """A context manager that runs tasks, and leaves nothing behind.

    Attributes
    ----------
    late : list of WorkerEvent
        What workers reported while they were being ended, after `events` was left.
    """

    late: list[WorkerEvent]

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @property
    def n_workers(self) -> int:
        """How many tasks run at the same time at most."""
        ...

    def add(self, tasks: Sequence[Task], *, first: bool = False) -> None:
        """Put tasks behind those that wait, or before them."""
        ...

    def events(self) -> Generator[WorkerEvent | Crashed, None, None]:
        """Go through what the tasks yield, as it comes, and through each `Crashed`.

        Raises
        ------
        RunnerError
            If a worker met one that ends the session, such as a store that fails.
        """
        ...
