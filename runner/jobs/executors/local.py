"""Where stacks run: local processes, forked from this one, which feeds and hears and ends them.

What the work is, it must not know: a task is a tuple of numbers, an event whatever the work
yields. A worker that dies costs its task alone.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from runner.system.environment import n_physical_cores
from runner.system.errors import StoreError, Terminated
from runner.system.signals import held, raise_on_sigterm

Task = tuple[int, ...]
Work = Callable[[Task], Generator[Any, None, None]]

# A person who presses Ctrl-C waits two seconds at most.
_GRACE_S = 1.0


@dataclass(frozen=True)
class Crashed:
    """The event of a worker that died at its task."""

    task: Task
    reason: str


@dataclass(frozen=True)
class _Done:
    """What a worker says at the end of a task."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


class Engine:
    """Processes at work; a context manager that leaves none of them behind.

    Parameters
    ----------
    n_workers : int
        How many processes there are at most.
    workplace : callable
        Called in each of them; a context manager that gives a function from a task to a generator
        of events.
    tasks : iterable of tuple of int
        What is to be done, in this order.
    """

    def __init__(
        self,
        n_workers: int,
        workplace: Callable[[], AbstractContextManager[Work]],
        tasks: Iterable[Task],
    ) -> None:
        self._n_workers = n_workers
        self._workplace = workplace
        self._waiting = deque(tasks)
        self._workers: list[_Worker] = []
        # What workers said while they were being ended, which `events` did not give any more.
        self.late: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._end(in_a_hurry=error is not None)
        finally:  # after a second Ctrl-C too
            for worker in self._workers:
                worker.process.kill()
                worker.connection.close()
            for worker in self._workers:
                worker.process.join(_GRACE_S)  # what it left can be closed when it is gone

    def add(self, tasks: Sequence[Task]) -> None:
        """Put further tasks in front of those that wait."""
        self._waiting.extendleft(reversed(tasks))

    def events(self) -> Iterator[Any]:
        """Go through what the work yields, as it comes, and through each `Crashed`.

        Raises
        ------
        StoreError
            If a worker met one.
        """
        while True:
            self._distribute()
            busy = {worker.connection: worker for worker in self._workers if worker.task}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]  # these are what it was given
                try:
                    event = worker.connection.recv()
                except (EOFError, OSError):
                    yield self._bury(worker)
                    continue
                if isinstance(event, StoreError):
                    raise event
                if isinstance(event, _Done):
                    worker.task = None
                else:
                    yield event

    def _distribute(self) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        while self._waiting and (idle or len(self._workers) < self._n_workers):
            worker = idle.pop() if idle else self._start()
            task = self._waiting[0]
            try:
                worker.connection.send(task)
            except OSError:
                self._bury(worker)
                continue
            worker.task = self._waiting.popleft()

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        # The end of a pipe shows only where nobody else holds its other end open.
        not_theirs = [ours, *(worker.connection for worker in self._workers)]
        process = context.Process(
            target=_serve, args=(self._workplace, theirs, not_theirs), name="runner worker"
        )
        with held():  # until the worker has handlers of its own
            process.start()
            theirs.close()
            worker = _Worker(process, ours)
            self._workers.append(worker)
        return worker

    def _bury(self, worker: _Worker) -> Crashed:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        return Crashed(worker.task or (), f"the worker process {how}")

    def _end(self, *, in_a_hurry: bool) -> None:
        for worker in self._workers:
            with suppress(OSError):
                if in_a_hurry:
                    worker.process.terminate()
                else:
                    worker.connection.send(None)
        until = time.monotonic() + _GRACE_S if in_a_hurry else None
        for worker in self._workers:
            # A pipe that nobody empties would hold up who writes to it.
            while worker.process.is_alive() and (until is None or time.monotonic() < until):
                self._hear(worker)
                worker.process.join(0.02)
            if not worker.process.is_alive():
                self._hear(worker)  # its last words

    def _hear(self, worker: _Worker) -> None:
        with suppress(EOFError, OSError):
            while worker.connection.poll():
                self.late.append(worker.connection.recv())


def _serve(
    workplace: Callable[[], AbstractContextManager[Work]],
    connection: Connection,
    not_ours: Sequence[Connection],
) -> None:
    """Do task after task, until there are no more, or until whoever gives them is gone."""
    # A terminal sends Ctrl-C to all of its processes; the one that feeds us decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in not_ours:
        other.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError, Terminated):
        raise_on_sigterm()
        try:
            with workplace() as work:
                while (task := connection.recv()) is not None:
                    with closing(work(task)) as events:
                        for event in events:
                            connection.send(event)
                    connection.send(_Done())
        except StoreError as error:
            connection.send(StoreError(str(error)))


def _signal_name(number: int) -> str:
    # Of the real-time signals only the first and the last have a name.
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def n_cores() -> int:
    """Count the physical cores that this process may use."""
    return n_physical_cores()


__all__ = ["Crashed", "Engine", "Task", "Work", "n_cores"]
