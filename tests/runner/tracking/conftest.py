"""Real stores for these tests: databases of their own, and one real MLflow server for all."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runner.tracking import Store, open_store
from tests.runner.processes import descendants

CHECKOUT = Path(__file__).resolve().parents[3]
Start = Callable[..., subprocess.Popen[str]]
Inject = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def database(tmp_path: Path, migrated_database: Path) -> Path:
    """A whole database that no run is in."""
    return Path(shutil.copy(migrated_database, tmp_path / "mlflow.db"))


@pytest.fixture
def embedded(database: Path) -> Store:
    """A store in a SQLite file."""
    return open_store(f"sqlite:///{database}", None, "test")


@pytest.fixture
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server that fails only once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes that import the checkout; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: object, isolated: bool = False) -> subprocess.Popen[str]:
        command = [sys.executable, *["-I"] * isolated, "-c", code, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            for child in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        process.kill()
        process.communicate()


def left(folder: Path) -> Path:
    """A folder with the file that a run has left, to be sent to a store."""
    (folder / "left").mkdir()
    (folder / "left" / "config.yaml").write_text("seed: 0\n")
    return folder / "left"


def read_line(process: subprocess.Popen[str]) -> str:
    """Wait until a process says something."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.communicate()
    return line
