"""Real stores for these tests: databases of their own, and one real MLflow server for all."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runner.system.errors import ConfigError
from runner.tracking import Store, open_store
from runner.tracking.backend.address import Address, check_answers
from runner.tracking.ui import server_command
from tests.runner.processes import WITHIN_S, descendants, end_group

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


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Find ports that stay free until they are used.

    They are below those that Linux gives to whoever does not mind, and drawn from so many that two
    who draw at once get the same one hardly ever.
    """

    def find() -> int:
        while True:
            port = 10_000 + secrets.randbelow(20_000)
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port

    return find


@pytest.fixture(scope="session")
def server(
    migrated_database: Path,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of a real MLflow server, which keeps the artifacts itself."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(migrated_database, folder / "mlflow.db")
    port = free_port()
    command, environment = server_command(f"sqlite:///{folder}/mlflow.db", port)
    process = subprocess.Popen(
        [*command, "--artifacts-destination", str(folder / "artifacts")],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(Address(f"http://127.0.0.1:{port}"), process)
        yield f"http://127.0.0.1:{port}"
    finally:
        end_group(process)


def _wait_for(address: Address, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with suppress(ConfigError):
            return check_answers(address)
        with suppress(subprocess.TimeoutExpired):  # and leave the core to it meanwhile
            pytest.fail(f"the MLflow server ended with {process.wait(0.1)}")
    pytest.fail("the MLflow server does not answer")
