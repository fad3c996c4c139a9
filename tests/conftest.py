"""What every test gets: one BLAS thread, a home and an environment of its own, a ready store."""

import gc
import importlib
import inspect
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import hypothesis
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from omegaconf.basecontainer import BaseContainer

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)
from runner.system.errors import ConfigError
from runner.tracking.backend.address import Address, check_answers
from runner.tracking.ui import server_command
from tests.runner.processes import WITHIN_S, end_group

# What a person or `make` has set must not decide how a test ends.
FOREIGN = ("MLFLOW_", "HYDRA_", "XDG_", "MPL", "PYTHONWARNINGS", "COLUMNS", "LINES", "NO_COLOR")
FOREIGN += ("MAKE", "MFLAGS", "GNUMAKEFLAGS", "ARGS")

# Who names one of these starts a process: `Command.process` is the runner as one, and sweeps, whose
# stores the last two fixtures make, have workers.
STARTERS = {"LocalProcesses", "Popen", "Process", "check_call", "check_output", "fork", "process"}
STARTERS |= {"shared", "sweeper"}

# A shell that starts the tests with `&`, or nohup, has every command they start ignore signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(_number, signal.SIG_DFL)

# The same examples every time: a test that fails once fails again.
hypothesis.settings.register_profile("house", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start a process: by what they, their helpers and their fixtures name."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        functions = [getattr(item, "function", None)]
        for definitions in fixtures.name2fixturedefs.values() if fixtures else ():
            functions += [definition.func for definition in definitions]
        names = set(getattr(item, "fixturenames", ())).union(*map(_names, functions))
        if names & STARTERS or ("subprocess" in names and "run" in names):
            item.add_marker("process")


def pytest_collection_finish() -> None:
    """Leave what lives as long as the tests do out of every search for garbage."""
    gc.collect()
    gc.freeze()


@cache
def _names(function: object) -> set[str]:
    """Return the globals and attributes that a function of the tests or one it calls names."""
    names, called = set[str](), [function]
    for each in called:
        plain = inspect.unwrap(each) if callable(each) else None
        if not isinstance(plain, FunctionType):
            continue
        codes = [plain.__code__]
        if not {"tests", "test_utils"} & set(Path(codes[0].co_filename).parts):
            continue
        for code in codes:
            codes += [const for const in code.co_consts if isinstance(const, CodeType)]
        new = {name for code in codes for name in code.co_names} - names
        names |= new
        called += [plain.__globals__.get(name) for name in new]
    return names


@contextmanager
def hydra_as_before() -> Iterator[None]:
    """Have Hydra's singletons and the resolvers of OmegaConf afterwards that there are now.

    Hydra's own fixture copies them in depth and discovers all plugins anew, which takes 35 ms: more
    than most tests do.
    """
    configs = _copied(ConfigStore.instance().repo)
    instances, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
    try:
        yield
    finally:
        GlobalHydra.instance().clear()
        Singleton._instances = instances
        BaseContainer._resolvers = resolvers
        ConfigStore.instance().repo = configs


def _copied(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(v) if isinstance(v, dict) else v for key, v in tree.items()}


@pytest.fixture(autouse=True, scope="module")
def _isolated_module() -> Iterator[None]:
    """Keep what a file's own fixtures leave in Hydra from the next file of the same process."""
    with hydra_as_before():
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one home per process, so that matplotlib lists its fonts once and not in each test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _isolated(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the person's settings out, and Hydra's process-wide state as it was."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    before = dict(os.environ)
    with hydra_as_before():
        yield
    # What the code under test sets for MLflow must not reach the next test either.
    for name in set(os.environ) - set(before):
        if name.startswith(FOREIGN):
            del os.environ[name]


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's tables once for all workers: 69 migrations take seconds, a copy none."""
    from runner.tracking.backend import client
    from runner.tracking.backend import sqlite as database

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    file = shared / "migrated" / "mlflow.db"
    database.ensure(file, file.parent / "artifacts")
    # Else sweeps of these tests have a process of their own load it, for seconds.
    client.prepare()
    importlib.import_module("mlflow")
    return file


@pytest.fixture
def store(tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record what a test runs in an empty database of its own, here and in its subprocesses."""
    file = tmp_path / "store" / "mlflow.db"
    file.parent.mkdir()
    shutil.copyfile(migrated_database, file)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    return file


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
