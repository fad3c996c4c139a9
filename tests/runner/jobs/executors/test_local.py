"""Processes of this machine, and this process, beyond what the contract of executors holds."""

import multiprocessing.process
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import runner.jobs.executors.local
from runner.jobs.events import Crashed
from runner.jobs.executors.local import InProcess, LocalProcesses
from runner.system.errors import Terminated
from tests.runner.jobs.executors import works

CHECKOUT = Path(__file__).resolve().parents[4]
pytestmark = [
    # pytest-xdist has a thread of its own, which holds no lock that a worker needs.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
]


Task = tuple[int, ...]
Stop = Callable[[], bool]
Work = Callable[[Task, Stop], Generator[object, None, None]]


def started(n_workers: int, work: Work, tasks: list[Task]) -> LocalProcesses:
    executor = LocalProcesses(n_workers, work)
    executor.add(tasks)
    return executor


def run(n_workers: int, work: Work, tasks: list[Task]) -> list[Any]:
    with started(n_workers, work, tasks) as executor:
        return list(executor.events())


def test_in_this_process_tasks_are_added_before_or_behind_those_that_wait() -> None:
    executor = InProcess(works.twice)
    executor.add([(1,), (2,)])
    done = []
    with executor:
        for _, task, said in executor.events():
            if said == "done":
                done.append(task)
            if said == "done" and task == (1,):
                executor.add([(10,), (11,)], first=True)
                executor.add([(3,)])
    assert done == [(1,), (10,), (11,), (2,), (3,)]


def test_in_this_process_what_fails_is_raised_and_what_is_left_is_closed() -> None:
    closed = []

    def work(task: Task, _: Stop) -> Generator[object, None, None]:
        try:
            yield task
            raise ArithmeticError("ours")
        finally:
            closed.append(task)

    executor = InProcess(work)
    executor.add([(0,), (1,)])
    with pytest.raises(ArithmeticError, match="ours"), executor:
        list(executor.events())
    again = InProcess(work)
    again.add([(2,)])
    with again:
        next(again.events())
    assert closed == [(0,), (2,)]


def test_the_reason_of_a_death_is_its_signal_or_its_code() -> None:
    ends = {
        (0,): (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (1,): (
            lambda: os.kill(os.getpid(), signal.SIGRTMIN + 5),  # which has no name
            f"was killed by signal {signal.SIGRTMIN + 5}",
        ),
        (2,): (lambda: os._exit(7), "ended with code 7"),
    }

    def dying(task: Task, _: Stop) -> Generator[object, None, None]:
        yield task
        ends[task][0]()

    events = run(1, dying, list(ends))
    assert [event for event in events if type(event) is tuple] == list(ends)
    crashes = {event.task: event.reason for event in events if isinstance(event, Crashed)}
    assert crashes == {task: f"the worker process {why}" for task, (_, why) in ends.items()}


def test_what_a_dead_worker_said_before_arrives() -> None:
    def talk(task: Task, _: Stop) -> Generator[object, None, None]:
        yield from range(100)
        os.kill(os.getpid(), signal.SIGKILL)

    *said, crash = run(1, talk, [(0,)])
    assert said == list(range(100))
    assert isinstance(crash, Crashed)


def seconds_to_leave(
    executor: LocalProcesses, after_events: int
) -> tuple[float, list[multiprocessing.process.BaseProcess]]:
    """Leave as Ctrl-C does; return how long it took, and the processes that it ended."""
    with suppress(KeyboardInterrupt), executor:
        events = executor.events()
        for _ in range(after_events):
            next(events)
        processes = [worker.process for worker in executor._workers]
        before = time.monotonic()
        raise KeyboardInterrupt
    return time.monotonic() - before, processes


# What is being slept through takes a minute; a busy machine takes some seconds to end a process.
SOON_S = 20


def test_who_leaves_in_a_hurry_does_not_wait_for_the_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.jobs.executors.local, "_GRACE_S", 0.1)

    def deaf(task: Task, _: Stop) -> Generator[object, None, None]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        yield task
        time.sleep(60)

    executor = started(2, deaf, [(0,), (1,)])
    took_s, processes = seconds_to_leave(executor, after_events=2)
    assert took_s < SOON_S
    for process in processes:
        process.join(SOON_S)  # it has been killed; a busy machine may take longer over it
    assert [process.exitcode for process in processes] == [-signal.SIGKILL] * 2


def test_a_pipe_that_is_full_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.jobs.executors.local, "_GRACE_S", 60.0)
    farewell = ["x" * 10_000] * 1_000  # a pipe holds less than a tenth of it

    def talkative(task: Task, _: Stop) -> Generator[object, None, None]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        yield task
        signal.sigwait({signal.SIGTERM})
        yield from farewell
        raise Terminated

    executor = started(1, talkative, [(0,)])
    took_s, processes = seconds_to_leave(executor, after_events=1)
    assert took_s < SOON_S
    assert executor.late == farewell
    assert [process.exitcode for process in processes] == [0]


def test_ctrl_c_is_for_whoever_gives_the_tasks() -> None:
    def interrupted(task: Task, _: Stop) -> Generator[object, None, None]:
        os.kill(os.getpid(), signal.SIGINT)
        yield task

    assert run(1, interrupted, [(0,), (1,)]) == [(0,), (1,)]


FEED = """
import os, time
from runner.jobs.executors.local import LocalProcesses

def work(task, stop):
    os.write(1, b"worker\\n")  # at once, whoever else writes
    yield task
    while task == (0,):
        time.sleep(0.01)
        yield "busy"

executor = LocalProcesses(2, work)
executor.add([(0,), (1,)])
with executor:
    for event in executor.events():
        pass
"""


def test_workers_end_when_who_feeds_them_is_killed() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FEED], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    # One stays busy, the other waits for a task.
    assert [process.stdout.readline() for _ in range(2)] == ["worker\n"] * 2
    process.kill()
    # Its output ends when nobody can write to it any more: the workers neither.
    rest, _ = process.communicate(timeout=30)
    assert rest == ""
