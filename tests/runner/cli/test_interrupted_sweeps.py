"""Signals in the middle of a sweep: what was at work is closed, and the way back is told."""

import os
import signal
import subprocess
import time

import pytest

from tests.runner.cli.sweeping import (
    WITHIN_S,
    count,
    end,
    jobs,
    recorded,
    start,
    until,
    workers,
)
from tests.runner.conftest import Command

# Two jobs that end at once, and two that never do: there is something to lose and to close.
SWEEP = ["-m", "training.steps=200,1000000000", "seed=0,1", "training.evaluate_every=1000"]
# The promise is 2 s after Ctrl-C and 5 s after SIGTERM, on a machine that is free: here other
# tests take turns with these on two cores, and each write to the disk waits for theirs.
SLOWER = 5


def at_work(command: Command) -> subprocess.Popen[str]:
    """Start the sweep, and wait until it is in the midst of it."""
    process = start(command, *SWEEP, "sweep.n_workers=2", constants={"_SHOWN_AFTER_S": 0.0})
    until(process, lambda: count(command, "FINISHED") == 2 and count(command, "RUNNING") == 2)
    return process


def test_ctrl_c_closes_what_runs_and_says_how_to_go_on(sweeper: Command):
    process = at_work(sweeper)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    ended = end(process)
    assert ended.returncode == 130
    assert time.monotonic() - began < 2 * SLOWER
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 2 + ["KILLED"] * 2
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}
    assert count(sweeper, "KILLED", "sweep") == 1
    assert workers(process) == []
    assert "Traceback" not in ended.stderr
    *_, introduction, command = ended.stderr.splitlines()
    assert introduction == "The same command goes on where this one stopped:"
    assert command == f"  runner {' '.join(SWEEP)} sweep.n_workers=2"
    assert "2 runs" in ended.stdout  # what is finished by then is worth seeing
    shown = sweeper("show").stdout
    assert "2 of 4 jobs have not run" in shown
    assert "did not finish" not in shown


def test_second_ctrl_c_does_not_wait(sweeper: Command):
    process = at_work(sweeper)
    began = time.monotonic()
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        assert time.monotonic() - began < 2 * SLOWER
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    ended = end(process)
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert workers(process) == []
    # What there was no time to close, the next start does.
    assert sweeper("training.steps=200").returncode == 0
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}


def test_sigterm_to_the_parent_alone_closes_what_runs(sweeper: Command):
    process = at_work(sweeper)
    began = time.monotonic()
    process.terminate()
    ended = end(process)
    assert ended.returncode == 143
    assert time.monotonic() - began < 5 * SLOWER
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 2 + ["KILLED"] * 2
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}
    assert workers(process) == []
    assert "Traceback" not in ended.stderr


def test_jobs_of_a_killed_worker_get_another_try(sweeper: Command):
    process = start(
        sweeper,
        *("-m", "training.steps=40000", "seed=range(0,6)", "sweep.n_workers=2"),
        constants={"_SHOWN_AFTER_S": 0.0},
    )
    until(process, lambda: count(sweeper, "RUNNING") == 6)
    os.kill(workers(process)[0], signal.SIGKILL)
    ended = end(process)
    assert ended.returncode == 0, ended.stderr
    assert len({run.key for run in jobs(sweeper, "FINISHED")}) == 6
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 6 + ["KILLED"] * 3
    assert workers(process) == []


# Killed, and started again.

POINTS = ["-m", "training.steps=200", "optimizer.learning_rate=0.01,0.04", "seed=range(0,30)"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_sweep_stopped_at_any_instant_loses_and_doubles_nothing(
    number: signal.Signals, sweeper: Command
):
    """One sweep, stopped at one instant after the other."""
    instants = {
        "before the first run": lambda: list(sweeper.store.glob("sweeps/*/lock")),
        "when there is a sweep": lambda: count(sweeper, "RUNNING", "sweep"),
        "when there is a job": lambda: count(sweeper, "FINISHED"),
        "after some more": lambda: count(sweeper, "FINISHED") >= done + 10,
        "when only the sum is missing": lambda: count(sweeper, "FINISHED") == 60,
    }
    if number != signal.SIGKILL:
        del instants["before the first run"], instants["when there is a job"]
    done = 0
    for instant in [*instants.values(), None]:
        before = {run.run_id: run for run in recorded(sweeper)}
        finished = {run.key for run in before.values() if run.is_done_job}
        done = len(finished)
        process = start(sweeper, *POINTS)
        if instant is not None:
            until(process, instant)
            process.send_signal(number)
        ended = end(process)
        deadline = time.monotonic() + WITHIN_S
        while workers(process):
            assert time.monotonic() < deadline, "a worker is left"
        now = recorded(sweeper)
        # No finished run is lost, and no job of one is run again.
        assert finished <= {run.key for run in now if run.is_done_job}
        assert not finished & {run.key for run in now if run.run_id not in before and run.is_job}
    assert ended.returncode == 0, ended.stderr
    assert len([run for run in now if run.is_done_job]) == 60
    assert len({run.key for run in now if run.is_done_job}) == 60
    assert "RUNNING" not in {run.status for run in now}
    assert count(sweeper, "FINISHED", "sweep") == 1
    assert count(sweeper, "FINISHED", "group") == 2


def test_long_training_goes_on_from_where_it_was_saved_with_the_same_bits(sweeper: Command):
    job = ["training.steps=40000", "training.evaluate_every=1000"]
    sweep = ["-m", *job, "seed=0,1", "sweep.n_workers=1"]
    process = start(sweeper, *sweep, constants={"_SAVED_EVERY_S": 0.0})
    until(process, lambda: list(sweeper.store.glob("sweeps/*/states/*.npz")))
    os.killpg(process.pid, signal.SIGKILL)
    end(process)
    assert jobs(sweeper, "FINISHED") == []
    again = sweeper(*sweep)
    assert again.returncode == 0, again.stderr
    told = [line for line in again.stderr.splitlines() if "go on from step" in line]
    assert len(told) == 1
    assert told[0].startswith("2 jobs go on from step ")
    assert list(sweeper.store.glob("sweeps/*/states/*.npz")) == []
    assert sweeper(*job, "seed=1").returncode == 0
    resumed, alone = [run for run in jobs(sweeper, "FINISHED") if "seed=1" in run.name]
    assert resumed.key == alone.key
    assert resumed.bits == alone.bits


def test_a_run_alone_goes_on_from_where_it_was_saved_too(sweeper: Command):
    job = ["training.steps=40000", "training.evaluate_every=1000", "seed=1"]
    process = start(sweeper, *job, constants={"_SAVED_EVERY_S": 0.0})
    until(process, lambda: list(sweeper.store.glob("sweeps/*/states/*.npz")))
    process.send_signal(signal.SIGINT)
    ended = end(process)
    assert ended.returncode == 130
    assert ended.stderr.splitlines() == [
        "The same command goes on where this one stopped:",
        f"  runner {' '.join(job)}",
    ]
    (killed,) = jobs(sweeper, "KILLED")
    assert f"run {killed.run_id}" in ended.stdout
    again = sweeper(*job)
    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("1 job goes on from step ")
    assert list(sweeper.store.glob("sweeps/*/states/*.npz")) == []
    assert sweeper("-m", *job).returncode == 0
    resumed, anew = jobs(sweeper, "FINISHED")
    assert resumed.key == anew.key
    assert resumed.bits == anew.bits
