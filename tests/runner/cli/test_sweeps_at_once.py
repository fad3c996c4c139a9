"""Sweeps that share a store at the same time: the same one, and another."""

import os
import signal
import subprocess

import pytest

from tests.runner.cli.instants import STOP_ALL, when_shown
from tests.runner.cli.sweeping import (
    BARE,
    Recorded,
    count,
    end,
    jobs,
    of_kind,
    recorded,
    start,
    table,
    until,
)
from tests.runner.conftest import Command

SAME = ["-m", "training.steps=200", "optimizer.learning_rate=0.01,0.04", "seed=range(0,10)"]
SAME += BARE
OTHER = ["-m", "training.steps=200", "optimizer.learning_rate=0.02,0.04", "seed=range(5,15)", *BARE]

Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def at_once(shared: Command) -> tuple[list[Ended], list[Recorded]]:
    """The same sweep twice and another one, all started in the same second."""
    processes = [start(shared, *sweep) for sweep in (SAME, SAME, OTHER)]
    return [end(process) for process in processes], recorded(shared)


def test_all_of_them_end_well(at_once: tuple[list[Ended], list[Recorded]]):
    ended, runs = at_once
    assert [one.returncode for one in ended] == [0, 0, 0], [one.stderr for one in ended]
    assert {run.status for run in runs} == {"FINISHED"}


def test_same_sweep_twice_trains_nothing_twice(at_once: tuple[list[Ended], list[Recorded]]):
    ended, runs = at_once
    assert len(of_kind("sweep", runs)) == 2
    for sweep in of_kind("sweep", runs):
        keys = [run.key for run in of_kind("run", runs) if run.tags["runner.sweep"] == sweep.run_id]
        assert len(keys) == len(set(keys)) == 20
    first, second, _ = ended
    assert table(first) == table(second)
    assert "20 runs of 2 configurations" in first.stdout


def test_two_sweeps_at_once_keep_to_themselves(at_once: tuple[list[Ended], list[Recorded]]):
    _, runs = at_once
    by_id = {run.run_id: run for run in runs}
    for run in of_kind("run", runs):
        group = by_id[run.parent]
        assert group.parent == run.tags["runner.sweep"]


def test_who_waits_for_a_sweep_that_is_killed_goes_on_with_it(sweeper: Command):
    sweep = ["-m", "training.steps=200", "seed=0,1,2", "sweep.n_workers=1", *BARE]
    # It stands still with its worker, however long the other one takes to begin.
    first = start(sweeper, *sweep, before=when_shown(STOP_ALL))
    until(first, lambda: count(sweeper, "RUNNING") == 3)
    second = start(sweeper, *sweep)
    assert second.stderr is not None
    said = second.stderr.readline()
    assert said.startswith(f"Process {first.pid} is running this sweep; waiting for it")
    os.killpg(first.pid, signal.SIGKILL)
    end(first)
    ended = end(second)
    assert ended.returncode == 0, ended.stderr
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 3 + ["KILLED"] * 3
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}
