"""The real command in a place of its own, and faults of the machine."""

import gc
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from runner.cli.main import carry_out
from runner.report.table import say
from runner.system.errors import RunnerError
from runner.tracking import leave_stores
from tests.conftest import hydra_as_before

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "runner")
Ended = subprocess.CompletedProcess[str]
Inject = Callable[..., Ended]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have exactly these variables, and a folder for temporary files that follows them."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = None


def _leave_stores() -> None:
    """Forget the stores that a command opened, and close their databases, as its end would."""
    leave_stores()
    gc.collect()  # a process that ends closes what only a cycle still holds
    if "mlflow.store.tracking.sqlalchemy_store" in sys.modules:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for engine in SqlAlchemyStore._engine_map.values():
            engine.dispose()


def run_here(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Carry a command line out in this process: seconds less than in one of its own.

    What the process has beside it is as before then. An error that is none of the program's own
    fails the test.
    """
    printed, said = io.StringIO(), io.StringIO()
    gc.freeze()  # else the search for garbage at its end takes a tenth of a second
    argv, sys.argv = sys.argv, ["runner", *arguments]
    try:
        with (
            chdir(folder),
            _environment(environment),
            hydra_as_before(),
            redirect_stdout(printed),
            redirect_stderr(said),
        ):
            try:
                code = carry_out(arguments)
            except RunnerError as error:
                say(str(error))
                code = error.exit_code
            except SystemExit as end:
                code = int(end.code or 0)
    finally:
        sys.argv = argv
        _leave_stores()
    return subprocess.CompletedProcess(arguments, code, printed.getvalue(), said.getvalue())


@dataclass(frozen=True)
class Command:
    """The `runner` command, in an empty folder, with a store that is not there yet.

    `folder` is where it starts, `store` where its runs would go, `scratch` its folder for
    temporary files.
    """

    folder: Path
    store: Path
    scratch: Path

    @property
    def environment(self) -> dict[str, str]:
        """What it is given, whatever the tests themselves are given."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "HYDRA_"))}
        return kept | {
            "PYTHONPATH": str(CHECKOUT),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.store / 'mlflow.db'}",
            "TMPDIR": str(self.scratch),
        }

    def __call__(self, *arguments: str, **variables: str) -> Ended:
        """Carry it out in this process; `variables` join its environment."""
        return run_here(list(arguments), self.folder, self.environment | variables)

    def process(self, *arguments: str, program: Sequence[str] = PROGRAM, **variables: str) -> Ended:
        """Run it as a process, where that matters, or another program in its place."""
        return subprocess.run(
            [*program, *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @classmethod
    def within(cls, folder: Path) -> Self:
        """Prepare the command in a folder, with nothing in it."""
        places = [folder / name for name in ("here", "store", "scratch")]
        for place in places:
            place.mkdir(parents=True)
        return cls(*places)

    def left(self) -> list[Path]:
        """List what is in its three folders."""
        places = (self.folder, self.store, self.scratch)
        return sorted(path for place in places for path in place.rglob("*"))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Prepare the real command in a place of its own."""
    return Command.within(tmp_path)


@pytest.fixture(scope="session")
def inject() -> Inject:
    """Run Python code in a process whose system calls fail, or kill it, as strace is told."""
    tool = shutil.which("strace")
    if tool is None or subprocess.run([tool, "-qq", "true"], check=False).returncode != 0:
        pytest.skip("strace is missing or may not trace: faults of the disk were NOT tested")

    def run(fault: str, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        call = fault.split(":", maxsplit=1)[0]
        # Ten times as fast, but it cannot send signals.
        filtered = () if "signal=" in fault else ("--seccomp-bpf",)
        # Compiled files are written and renamed too, which would shift the count of calls.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(
            [
                *(tool, "-f", *filtered, "-qq", "-o", os.devnull),
                *("-e", f"trace={call}", "-e", f"inject={fault}"),
                *(sys.executable, "-c", code, *map(str, arguments)),
            ],
            env=environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
