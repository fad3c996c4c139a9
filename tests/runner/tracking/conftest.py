"""Real stores for these tests: databases of their own, and one real MLflow server for all."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.tracking import Store, open_store
from runner.tracking.address import Address, check_answers
from runner.tracking.ui import server_command

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
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    """Wait until a process says something."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.communicate()
    return line


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

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
    )
    try:
        _wait_for(Address(f"http://127.0.0.1:{port}"), process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(address: Address, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            return check_answers(address)
        except ConfigError:
            continue
    pytest.fail(f"the MLflow server ended with {process.returncode}")
