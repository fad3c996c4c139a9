"""Signals in the middle of a sweep: what was at work is closed, and the way back is told."""

import os
import signal
import subprocess

import pytest

from tests.runner.cli.instants import (
    BEGUN,
    DEAF_WORKERS,
    GROUP_BEGUN,
    INTERRUPT,
    JOB_ENDED,
    JOBS_DONE,
    KILL_ALL,
    KILL_WORKER,
    ONE_AT_A_TIME,
    PLANNED,
    SHOWN_AT_ONCE,
    at_call,
    when_saved,
    when_shown,
    workers_stand_still,
)
from tests.runner.cli.rerunning import verdict
from tests.runner.cli.sweeping import BARE, count, end, jobs, recorded, start, until, workers_left
from tests.runner.conftest import Command

# Two jobs that end at once, and two that never do: there is something to lose and to close, and a
# signal that is not heeded is seen, however long a busy machine takes to heed one.
SWEEP = ["-m", "training.steps=200,1000000000", "seed=0,1", "training.evaluate_every=1000", *BARE]


def at_work(command: Command, before: str = "") -> subprocess.Popen[str]:
    """Start the sweep, and wait until it is in the midst of it."""
    process = start(command, *SWEEP, "sweep.n_workers=2", before=SHOWN_AT_ONCE + before)
    # Whose group is summed up, of them the parent has heard: it is later than what the store says.
    until(
        process, lambda: count(command, "FINISHED", "group") == 1 and count(command, "RUNNING") == 2
    )
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_closes_what_runs_and_says_how_to_go_on(number: signal.Signals, sweeper: Command):
    process = at_work(sweeper)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.terminate()  # the parent alone
    ended = end(process)
    assert ended.returncode == 128 + number
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 2 + ["KILLED"] * 2
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}
    assert count(sweeper, "KILLED", "sweep") == 1
    assert workers_left(process) == []
    assert "Traceback" not in ended.stderr
    *_, introduction, command = ended.stderr.splitlines()
    assert introduction == "The same command goes on where this one stopped:"
    assert command == f"  runner {' '.join(SWEEP)} sweep.n_workers=2"
    assert "2 runs" in ended.stdout  # what is finished by then is worth seeing
    shown = sweeper("show").stdout
    assert "2 of 4 jobs have no result yet" in shown
    assert "did not finish" not in shown


def test_second_ctrl_c_does_not_wait(sweeper: Command):
    process = at_work(sweeper, DEAF_WORKERS)
    os.killpg(process.pid, signal.SIGINT)
    until(process, (sweeper.folder / "ending").is_dir)
    os.killpg(process.pid, signal.SIGINT)
    ended = end(process)
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert workers_left(process) == []
    # What there was no time to close, the next start does.
    assert sweeper("training.steps=200").returncode == 0
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}


def test_jobs_of_a_killed_worker_get_another_try(sweeper: Command):
    process = start(
        sweeper,
        *("-m", "training.steps=200", "seed=range(0,6)", "sweep.n_workers=2", *BARE),
        before=when_shown(KILL_WORKER),
    )
    ended = end(process)
    assert ended.returncode == 0, ended.stderr
    assert len({run.key for run in jobs(sweeper, "FINISHED")}) == 6
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 6 + ["KILLED"] * 3
    assert workers_left(process) == []


# Killed, and started again.

POINTS = ["-m", "training.steps=200", "optimizer.learning_rate=0.01,0.04", "seed=range(0,30)"]
POINTS += BARE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_sweep_stopped_at_any_instant_loses_and_doubles_nothing(
    number: signal.Signals, sweeper: Command
):
    """One sweep, stopped at one instant after the other."""
    instants = {
        "before the first run": (PLANNED, 1),
        "when there is a sweep": (BEGUN, 1),
        "when there is a job": (JOB_ENDED, 1),
        "when there is to be a group": (GROUP_BEGUN, 1),
        "after some more": (JOB_ENDED, 8),
        "when only the sum is missing": (JOBS_DONE, 1),
    }
    if number != signal.SIGKILL:
        del instants["before the first run"], instants["when there is a job"]
    for instant in [*instants, None]:
        before = {run.run_id: run for run in recorded(sweeper)}
        finished = {run.key for run in before.values() if run.is_done_job}
        prepared = "" if instant is None else at_call(*instants[instant], number)
        if instant in {"when there is a job", "when there is to be a group", "after some more"}:
            # Else they would have all jobs done before the parent gets to its turn, now and then.
            prepared += ONE_AT_A_TIME + workers_stand_still(10, "FINISHED")
        process = start(sweeper, *POINTS, "sweep.n_workers=2", before=prepared)
        ended = end(process)
        assert workers_left(process) == []
        now = recorded(sweeper)
        # No finished run is lost, and no job of one is run again.
        assert finished <= {run.key for run in now if run.is_done_job}
        assert not finished & {run.key for run in now if run.run_id not in before and run.is_job}
        if instant is not None:
            assert ended.returncode == (130 if number == signal.SIGINT else -number), ended.stderr
            assert count(sweeper, "FINISHED", "sweep") == 0
            n_done = sum(run.is_done_job for run in now)
            assert (n_done == 60) == (instant == "when only the sum is missing")
    assert ended.returncode == 0, ended.stderr
    assert len([run for run in now if run.is_done_job]) == 60
    assert len({run.key for run in now if run.is_done_job}) == 60
    assert "RUNNING" not in {run.status for run in now}
    assert count(sweeper, "FINISHED", "sweep") == 1
    assert count(sweeper, "FINISHED", "group") == 2


JOB = ["training.steps=8000", "training.evaluate_every=1000", *BARE]


def test_long_training_goes_on_from_where_it_was_saved_with_the_same_bits(sweeper: Command):
    sweep = ["-m", *JOB, "seed=0,1", "sweep.n_workers=1"]
    killed = end(start(sweeper, *sweep, before=when_saved(KILL_ALL)))
    assert killed.returncode == -signal.SIGKILL
    assert jobs(sweeper, "FINISHED") == []
    again = sweeper(*sweep)
    assert again.returncode == 0, again.stderr
    lines = [line for line in again.stderr.splitlines() if "goes on from step" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Training goes on from step ")
    check_nothing_is_left_and_bits_are_those_of(sweeper, [*JOB, "seed=1"])
    resumed = jobs(sweeper, "FINISHED")[1]
    ended = sweeper("rerun", resumed.run_id, "--check")
    assert (verdict(ended), ended.returncode) == ("IDENTICAL", 0)


def test_a_run_alone_goes_on_from_where_it_was_saved_too(sweeper: Command):
    job = [*JOB, "seed=1"]
    ended = end(start(sweeper, *job, before=when_saved(INTERRUPT)))
    assert ended.returncode == 130
    assert ended.stderr.splitlines() == [
        "The same command goes on where this one stopped:",
        f"  runner {' '.join(job)}",
    ]
    (killed,) = jobs(sweeper, "KILLED")
    assert f"run {killed.run_id}" in ended.stdout
    again = sweeper(*job)
    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("Training goes on from step ")
    check_nothing_is_left_and_bits_are_those_of(sweeper, ["-m", *job])


def check_nothing_is_left_and_bits_are_those_of(command: Command, anew: list[str]) -> None:
    """Compare the resumed run of seed 1 with a command that runs the same job in one go."""
    assert list(command.store.glob("sweeps/*/states/*.npz")) == []
    assert command(*anew).returncode == 0
    runs = jobs(command, "FINISHED")
    resumed, other = [run for run in runs if run.key == runs[-1].key]
    assert resumed.bits == other.bits
