"""Executors of this machine: the process itself, and processes forked from it.

A forked worker starts in milliseconds and shares the data that are prepared already. One that dies
costs its task alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pickle import UnpicklingError

from runner.jobs.events import Crashed, Notice, WorkerEvent
from runner.jobs.executors.interface import Events, Executor, Work
from runner.jobs.worker.recording import never
from runner.jobs.worker.stack_run import run_stack
from runner.jobs.worker.task import Task
from runner.system.errors import StoreError, Terminated
from runner.system.formatting import count
from runner.system.signals import (
    deferred_signals,
    end_undisturbed,
    leave_terminal_to_parent,
    raise_on_sigterm,
)
from runner.tracking import leave_stores

# A person who presses Ctrl-C waits two seconds at most.
_GRACE_S = 1.0


class InProcess(Executor):
    """Runs tasks one after the other in this process; what fails in one is raised."""

    def __init__(self, work: Work = run_stack) -> None:
        super().__init__(1, work)
        self._running: Generator[WorkerEvent, None, None] | None = None

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.close()

    def events(self) -> Events:
        """Go through what the tasks yield."""
        while self._waiting:
            self._running = self._work(self._next(), never)
            yield from self._running
        self._running = None


@dataclass(frozen=True)
class _Done:
    """A worker is at the end of a task."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


class LocalProcesses(Executor):
    """Runs tasks in processes forked from this one, and leaves none of them behind."""

    def __init__(self, n_workers: int, work: Work = run_stack) -> None:
        super().__init__(n_workers, work)
        self._workers: list[_Worker] = []

    def __exit__(self, _kind: object, error: BaseException | None, *_: object) -> None:
        if not self._workers:  # it has been left before
            return
        try:
            is_busy = any(worker.task is not None for worker in self._workers)
            self._end(in_a_hurry=error is not None or is_busy)
        finally:  # after a second Ctrl-C too
            for worker in self._workers:
                worker.process.kill()
                worker.connection.close()
            for worker in self._workers:
                worker.process.join(_GRACE_S)  # what it left can be closed when it is gone
            self._workers.clear()

    def events(self) -> Events:
        """Go through what the tasks yield, as it comes; a store that fails is raised."""
        while True:
            yield from self._distribute()
            busy = {w.connection: (w, w.task) for w in self._workers if w.task is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker, task = busy[connection]  # type: ignore[index]  # these are what it was given
                try:
                    with deferred_signals():  # a message that is read by half could not be read on
                        event = worker.connection.recv()
                except (EOFError, OSError):
                    yield Crashed(task, self._reap(worker))
                    continue
                if isinstance(event, StoreError):
                    raise event
                if isinstance(event, _Done):
                    worker.task = None
                else:
                    yield event

    def _distribute(self) -> Generator[Notice, None, None]:
        """Give tasks to idle workers; where a process cannot be forked, fewer will do."""
        idle = [worker for worker in self._workers if worker.task is None]
        while self._waiting and (idle or len(self._workers) < self.capacity):
            try:
                worker = idle.pop() if idle else self._start()
            except OSError as error:
                reason = f"no more processes can be started: {(error.strerror or '').lower()}"
                if not self._workers:
                    raise StoreError(f"This machine: {reason}.") from error
                self._capacity = len(self._workers)
                yield Notice(f"Going on with {count(self.capacity, 'worker')}: {reason}.")
                continue
            task = self._next()
            try:
                worker.connection.send(task)
            except OSError:
                self._reap(worker)
                self.add([task], first=True)
            else:
                worker.task = task

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        # The end of a pipe shows only where nobody else holds its other end open.
        not_theirs = [ours, *(worker.connection for worker in self._workers)]
        process = context.Process(
            target=_serve, args=(self._work, theirs, not_theirs), name="runner worker"
        )
        with deferred_signals():  # until the worker has handlers of its own
            try:
                process.start()
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
            worker = _Worker(process, ours)
            self._workers.append(worker)
        return worker

    def _reap(self, worker: _Worker) -> str:
        """Let go of a worker that has died; return how."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        return f"the worker process {how}"

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
                self._drain(worker)
                worker.process.join(0.02)
            if not worker.process.is_alive():
                self._drain(worker)  # its last words

    def _drain(self, worker: _Worker) -> None:
        # A second Ctrl-C may have left half of a message.
        with suppress(EOFError, OSError, UnpicklingError):
            while worker.connection.poll():
                self.late.append(worker.connection.recv())


def _serve(work: Work, connection: Connection, not_ours: Sequence[Connection]) -> None:
    """Do task after task, until there are no more, or until whoever gives them is gone."""
    parent = os.getppid()

    def is_left() -> bool:
        return os.getppid() != parent

    leave_terminal_to_parent()
    for other in not_ours:
        other.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError, Terminated):
        try:
            raise_on_sigterm()
            while (task := connection.recv()) is not None:
                with closing(work(task, is_left)) as events:
                    for event in events:
                        connection.send(event)
                connection.send(_Done())
        except StoreError as error:
            connection.send(StoreError(str(error)))
        finally:
            end_undisturbed()
            leave_stores()


def _signal_name(number: int) -> str:
    # Of the real-time signals only the first and the last have a name.
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
