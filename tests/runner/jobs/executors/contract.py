"""What every executor of several workers must do, whichever it is; `start` makes one of two."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runner.jobs.events import Crashed, Notice
from runner.jobs.executors.interface import Executor
from runner.system.errors import StoreError
from tests.runner.jobs.executors import works

Start = Callable[..., Executor]
# A busy machine takes some seconds to end a process; what is being waited for has no end.
SOON_S = 20


def run(start: Start, work: Callable[..., Any], tasks: list[Any]) -> list[Any]:
    with start(work, tasks) as executor:
        return [event for event in executor.events() if not isinstance(event, Notice)]


def test_each_task_is_done_once_and_each_event_arrives(start: Start) -> None:
    tasks = [(number, number + 1) for number in range(20)]
    events = run(start, works.twice, tasks)
    assert sorted(task for _, task, said in events if said == "begun") == tasks
    assert sorted(task for _, task, said in events if said == "done") == tasks
    workers = {pid for pid, _, _ in events}
    assert len(workers) <= 2
    assert os.getpid() not in workers
    for pid in workers:
        # A worker ends a task before it begins the next one.
        said = [(task, what) for worker, task, what in events if worker == pid]
        assert said[0::2] == [(task, "begun") for task, _ in said[1::2]]


def test_workers_work_at_the_same_time(start: Start, tmp_path: Path) -> None:
    tasks = [(number, str(tmp_path)) for number in range(2)]
    assert sorted(run(start, works.meeting, tasks)) == tasks


def test_no_tasks_are_no_events(start: Start) -> None:
    assert run(start, works.twice, []) == []


def test_tasks_are_added_before_or_behind_those_that_wait(start: Start) -> None:
    done = []
    with start(works.twice, [(1,), (2,)], 1) as executor:
        for event in executor.events():
            if not isinstance(event, Notice):
                _, task, said = event  # type: ignore[misc]  # a stand-in's
                done += [task] * (said == "done")
                if (task, said) == ((1,), "done"):
                    executor.add([(10,), (11,)], first=True)  # type: ignore[list-item]
                    executor.add([(3,)])  # type: ignore[list-item]
    assert done == [(1,), (10,), (11,), (2,), (3,)]


def test_a_worker_that_dies_costs_its_task_alone(start: Start) -> None:
    events = run(start, works.dying, [(number,) for number in range(8)])
    # The last words of the dead may be lost on the way.
    told = sorted(event for event in events if type(event) is tuple and event != (2,))
    assert told == [(number,) for number in range(8) if number != 2]
    (crash,) = [event for event in events if isinstance(event, Crashed)]
    assert crash.task == (2,)  # type: ignore[comparison-overlap]  # a stand-in
    assert "worker" in crash.reason


def test_a_store_error_travels(start: Start) -> None:
    with pytest.raises(StoreError) as caught:
        run(start, works.failing, [(0,), (1,), (2,)])
    assert str(caught.value) == "there: disk full\nsecond line"


def test_who_leaves_in_a_hurry_waits_for_clean_ends(start: Start, tmp_path: Path) -> None:
    tasks = [(number, str(tmp_path)) for number in range(2)]
    with suppress(KeyboardInterrupt), start(works.endless, tasks) as executor:
        begun = 0
        for event in executor.events():
            begun += type(event) is tuple
            if begun == 2:
                before_s = time.monotonic()
                raise KeyboardInterrupt
    assert time.monotonic() - before_s < SOON_S
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}
