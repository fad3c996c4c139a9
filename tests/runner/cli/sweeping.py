"""Runs read from the tables of a store, and the command as a process: started, awaited, ended.

What happens is awaited as a condition of the store, never by a sleep. Asking MLflow in place of
reading its tables would cost each test a second.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from sqlite3 import Connection, OperationalError, connect

import pytest

from tests.runner.cli.instants import PREAMBLE
from tests.runner.conftest import Command, Ended
from tests.runner.processes import WITHIN_S, left_of, living

# What need not be drawn and saved of a run or sweep: a process of its own takes seconds for it.
BARE = ("tracking.figures=false", "tracking.model=false")

PREPARED = """
import sys
exec(sys.argv.pop(1), {})
sys.argv[0] = "runner"
from runner.cli.main import main
main()
"""


@dataclass(frozen=True)
class Recorded:
    """A run as the store has it; metrics by name and step."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.tags["runner.kind"]

    @property
    def is_job(self) -> bool:
        return self.kind == "run"

    @property
    def is_done_job(self) -> bool:
        return self.is_job and self.status == "FINISHED"

    @property
    def key(self) -> str:
        return self.tags["runner.key"]

    @property
    def parent(self) -> str:
        return self.tags["mlflow.parentRunId"]

    @property
    def bits(self) -> tuple[str, dict[tuple[str, int], float]]:
        """What must be the same wherever and with whatever a job is trained."""
        return self.tags["runner.weights_sha256"], self.metrics


def opened(command: Command) -> closing[Connection]:
    """Open the store's database to read from it."""
    return closing(connect(f"file:{command.store / 'mlflow.db'}?mode=ro", uri=True))


def recorded(command: Command) -> list[Recorded]:
    """Read all runs of the store, in order of their beginning."""
    with opened(command) as connection:
        rows = connection.execute("SELECT run_uuid, name, status FROM runs ORDER BY start_time")
        runs = {row[0]: Recorded(*row) for row in rows}
        tags = connection.execute("SELECT run_uuid, key, value FROM tags")
        metrics = connection.execute("SELECT run_uuid, key, step, value FROM metrics")
        # What belongs to a run that is newer than the list is left out.
        for run_id, name, value in tags:
            if run_id in runs:
                runs[run_id].tags[name] = value
        for run_id, name, step, value in metrics:
            if run_id in runs:
                runs[run_id].metrics[name, step] = value
    return list(runs.values())


def of_kind(kind: str, runs: list[Recorded]) -> list[Recorded]:
    """Choose the runs of a kind: run, group or sweep."""
    return [run for run in runs if run.kind == kind]


def jobs(command: Command, status: str | None = None) -> list[Recorded]:
    """Read the runs of jobs, or those of them with a status."""
    return [run for run in of_kind("run", recorded(command)) if status in {None, run.status}]


def count(command: Command, status: str, kind: str = "run") -> int:
    """Count runs without reading what is in them: it is asked many times a second."""
    query = (
        "SELECT count(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE status = ? AND tags.key = 'runner.kind' AND tags.value = ?"
    )
    with opened(command) as connection:
        try:
            return int(connection.execute(query, (status, kind)).fetchone()[0])
        except OperationalError:  # somebody is writing
            return 0


def start(command: Command, *arguments: str, before: str = "") -> subprocess.Popen[str]:
    """Start the command, after Python code of `instants`, as the head of a process group."""
    changed = ["-c", PREPARED, PREAMBLE + before] if before else ["-m", "runner"]
    return subprocess.Popen(
        [sys.executable, *changed, *arguments],
        cwd=command.folder,
        env=command.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """Wait until something is so, while a process is at work."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert process.poll() is None, process.communicate()
        if time.monotonic() > deadline:
            kill_all(process)
            pytest.fail(f"it has not come to that: {process.communicate()}")
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)


def kill_all(process: subprocess.Popen[str]) -> None:
    """Kill it and its workers, which would keep the other tests from the cores."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process, and return what it said."""
    try:
        printed, errors = process.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        kill_all(process)
        pytest.fail(f"it does not end: {process.communicate()}")
    return subprocess.CompletedProcess(process.args, process.returncode, printed, errors)


def workers_left(process: subprocess.Popen[str]) -> list[int]:
    """Wait for the end of the other processes of its group, and return those that go on."""
    members = [other.pid for other in living() if other.group == process.pid]
    return left_of(pid for pid in members if pid != process.pid)


def table(ended: Ended) -> list[str]:
    """Return what was printed of a sweep, without the time that it took."""
    return [line for line in ended.stdout.splitlines() if not line.startswith("took ")]
