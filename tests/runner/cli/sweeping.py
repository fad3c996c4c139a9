"""The real command at work on sweeps: started, watched through its store, and its processes.

What happens is awaited as a condition of the store, never by a sleep; what is in the store is read
from its tables, because asking MLflow would cost each test a second.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from sqlite3 import OperationalError, connect

import pytest

from tests.runner.conftest import Command
from tests.runner.processes import WITHIN_S, left_of, living

# Runs that last long are shown and saved after seconds that a test does not have.
PREPARED = """
import json, sys
import runner.jobs.worker.stack_run
for name, value in json.loads(sys.argv.pop(1)).items():
    assert hasattr(runner.jobs.worker.stack_run, name)
    setattr(runner.jobs.worker.stack_run, name, value)
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


def recorded(command: Command) -> list[Recorded]:
    """Read all runs of the store, in order of their beginning."""
    database = command.store / "mlflow.db"
    with closing(connect(f"file:{database}?mode=ro", uri=True)) as connection:
        runs = {
            row[0]: Recorded(*row)
            for row in connection.execute(
                "SELECT run_uuid, name, status FROM runs ORDER BY start_time"
            )
        }
        for run_id, name, value in connection.execute("SELECT run_uuid, key, value FROM tags"):
            if run_id in runs:  # it may be newer than the list
                runs[run_id].tags[name] = value
        for run_id, name, step, value in connection.execute(
            "SELECT run_uuid, key, step, value FROM metrics"
        ):
            if run_id in runs:
                runs[run_id].metrics[name, step] = value
    return list(runs.values())


def of_kind(kind: str, runs: list[Recorded]) -> list[Recorded]:
    """Choose the runs of a kind: run, group or sweep."""
    return [run for run in runs if run.kind == kind]


def jobs(command: Command, status: str | None = None) -> list[Recorded]:
    """Read the runs of jobs, or those of them that stand like this."""
    found = of_kind("run", recorded(command))
    return [run for run in found if status in {None, run.status}]


def count(command: Command, status: str, kind: str = "run") -> int:
    """Count runs without reading what is in them: it is asked many times a second."""
    query = (
        "SELECT count(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE status = ? AND tags.key = 'runner.kind' AND tags.value = ?"
    )
    database = command.store / "mlflow.db"
    with closing(connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            (number,) = connection.execute(query, (status, kind)).fetchone()
        except OperationalError:  # somebody is writing
            return 0
    return int(number)


def start(
    command: Command,
    *arguments: str,
    constants: dict[str, float] | None = None,
    before: str = "",
) -> subprocess.Popen[str]:
    """Start the command as the head of a process group of its own.

    Before it begins, `constants` of `runner.jobs.worker.stack_run` are set, and the Python code
    `before` is run.
    """
    prepared = ["-c", PREPARED, json.dumps(constants or {}), before]
    changed = prepared if constants or before else ["-m", "runner"]
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
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue


def kill_all(process: subprocess.Popen[str]) -> None:
    """Kill it and its workers, which would keep the other tests from the cores."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
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


def table(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was printed of a sweep, without the time that it took."""
    return [line for line in ended.stdout.splitlines() if not line.startswith("took ")]
