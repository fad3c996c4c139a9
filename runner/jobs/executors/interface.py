"""What an executor is: something that runs tasks, here or elsewhere, and passes on their events.

To run tasks in another kind of place is one more class of this form.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from runner.jobs.events import Crashed, Noted, WorkerEvent
from runner.jobs.worker.task import Task
from runner.system.errors import RunnerError

# The one function that workers call: `runner.jobs.worker.stack_run.run_stack`.
Work = Callable[..., Generator[WorkerEvent, None, None]]


@dataclass(frozen=True)
class DataFile:
    """A data file that every worker must have, with the content that the plan was made with.

    `config` is that of a job that reads it, as plain values, and `folder` where its path starts.
    """

    config: Mapping[str, Any]
    folder: str
    digest: str


@dataclass(frozen=True)
class Site:
    """A place where stacks run, as its worker describes it.

    Parameters
    ----------
    name : str
        The worker's address.
    host : str
        The name of its machine.
    decisive : mapping of str to object
        What decides the bits of a result there; see `runner.training.environment.environment`.
    n_cores : int
        Processors that it may use.
    problem : RunnerError or None
        Why no job can run there: a data file, for instance.
    """

    name: str
    host: str = ""
    decisive: Mapping[str, Any] | None = None
    n_cores: int = 0
    problem: RunnerError | None = None


class Executor(Protocol):
    """A context manager that runs tasks, and leaves nothing behind.

    Attributes
    ----------
    late : list of WorkerEvent
        What workers reported while they were being ended, after `events` was left.
    is_remote : bool
        Whether workers may be on other machines: they share no folder with this process, and
        nobody here can tell whether one of them still lives.
    most_deaths : int
        How many workers a job may cost, the last of them with no other job at work.
    """

    late: list[WorkerEvent]
    is_remote: bool
    most_deaths: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def sites(self, files: Sequence[DataFile] = ()) -> list[Site]:
        """Ask every worker what it is, and whether it has the data files.

        Returns
        -------
        list of Site
            Empty where workers are forks of this process, and so cannot differ from it.

        Raises
        ------
        ConfigError
            If there are no workers to ask.
        """
        ...

    @property
    def capacity(self) -> int:
        """How many tasks run at the same time at most."""
        ...

    def add(self, tasks: Sequence[Task], *, first: bool = False) -> None:
        """Put tasks behind those that wait, or before them."""
        ...

    def events(self) -> Generator[WorkerEvent | Crashed | Noted, None, None]:
        """Go through what the tasks yield, as it comes, and through each `Crashed`.

        Raises
        ------
        RunnerError
            If a worker met one that ends the session, such as a store that fails; a `ClusterError`
            if the workers are out of reach.
        """
        ...
