"""Signals and kills at any instant, and a disk that fails at any write: nothing lost, nothing torn.

Kills and errors of the disk come from `strace`; where it is missing the tests say so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.faults.conftest import Survive
from tests.runner.cli.sweeping import BARE, count, end, jobs, recorded, start, until, workers_left
from tests.runner.cli.test_interrupted_sweeps import at_work
from tests.runner.conftest import Command

QUICK = ["training.steps=200", "training.evaluate_every=100", *BARE]
SWEEP = ["-m", *QUICK, "seed=range(0,6)", "optimizer.learning_rate=0.1,0.2", "sweep.n_workers=2"]
# What ends a process of strace's, and at which of its calls; errors are those of a disk.
KILLS = {"pwrite64": [1, 40, 120, 260], "write": [60, 200], "rename": [1, 2, 4], "fsync": [1, 3]}
ERRORS = {"pwrite64": [1, 60], "write": [200], "fsync": [1, 4], "rename": [1, 3], "ftruncate": [1]}


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("to_all", [True, False], ids=["to all", "to the parent"])
def test_a_hang_up_or_quit_closes_what_runs(
    number: signal.Signals, to_all: bool, sweeper: Command, survive: Survive
) -> None:
    survive("kills")
    process = at_work(sweeper)
    if to_all:
        os.killpg(process.pid, number)  # as a terminal that is closed does
    else:
        process.send_signal(number)
    ended = end(process)
    assert ended.returncode == 128 + number, ended.stderr
    assert sorted(run.status for run in jobs(sweeper)) == ["FINISHED"] * 2 + ["KILLED"] * 2
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}
    assert workers_left(process) == []
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("numbers", "before"),
    [
        ([signal.SIGTSTP, signal.SIGCONT], ""),
        ([signal.SIGHUP], "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"),
    ],
    ids=["stopped and continued", "under nohup"],
)
def test_what_is_meant_to_go_on_goes_on(
    numbers: list[signal.Signals], before: str, sweeper: Command, survive: Survive
) -> None:
    survive("kills")
    long = ["-m", "training.steps=200,20000", "seed=0,1", "sweep.n_workers=2", *BARE]
    process = start(sweeper, *long, before=before)
    until(process, lambda: count(sweeper, "FINISHED") >= 1)
    for number in numbers:
        os.killpg(process.pid, number)
    ended = end(process)
    assert ended.returncode == 0, ended.stderr
    assert [run.status for run in jobs(sweeper)] == ["FINISHED"] * 4


def strace(command: Command, fault: str) -> subprocess.CompletedProcess[str]:
    """Carry the sweep out in processes whose calls fail, or end them, as strace is told."""
    tool = shutil.which("strace")
    if (
        tool is None
        or subprocess.run([tool, "-qq", "-o", os.devnull, "true"], check=False).returncode != 0
    ):
        pytest.skip("strace is missing or may not trace: kills at any write were NOT tested")
    words = [tool, "-f", "-qq", "-o", os.devnull]
    words += ["-e", f"trace={fault.partition(':')[0]}", "-e", f"inject={fault}"]
    return subprocess.run(
        [*words, sys.executable, "-m", "runner", *SWEEP],
        cwd=command.folder,
        env=command.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def require_whole(command: Command) -> None:
    """Let the same command go on, and hold that each job is there once, with all of its files."""
    before = {run.key for run in jobs(command, "FINISHED")}
    again = command.process(*SWEEP)
    assert again.returncode == 0, again.stderr
    finished = [run.key for run in jobs(command, "FINISHED")]
    assert len(finished) == len(set(finished)) == 12
    assert before <= set(finished)
    assert "RUNNING" not in {run.status for run in recorded(command)}
    for run in jobs(command, "FINISHED"):
        (folder,) = command.store.glob(f"artifacts/*/{run.run_id}/artifacts")
        names = {path.name for path in folder.iterdir()}
        assert {"config.json", "weights.npz", "environment.json"} <= names
    assert not list((command.store / "artifacts").rglob("*.part"))


@pytest.mark.parametrize("call", KILLS)
def test_killed_at_a_call_the_same_command_finishes(
    call: str, sweeper: Command, survive: Survive
) -> None:
    survive("kills", len(KILLS[call]))
    for number in KILLS[call]:
        strace(sweeper, f"{call}:signal=KILL:when={number}")
    require_whole(sweeper)


@pytest.mark.parametrize("call", ERRORS)
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_an_error_of_the_disk_is_named_and_costs_nothing_else(
    error: str, call: str, sweeper: Command, survive: Survive
) -> None:
    survive("injected errors", len(ERRORS[call]))
    for number in ERRORS[call]:
        ended = strace(sweeper, f"{call}:error={error}:when={number}")
        assert ended.returncode in {0, 1, 3}, ended.stderr
        assert "Traceback" not in ended.stderr
    require_whole(sweeper)
