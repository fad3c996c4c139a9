"""The real command in a place of its own, and faults of the machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
Inject = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Command:
    """The `runner` command, started in an empty folder, with a store that is not there yet.

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

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; `variables` join its environment."""
        return subprocess.run(
            [sys.executable, "-m", "runner", *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def left(self) -> list[Path]:
        """List what is in its three folders."""
        places = (self.folder, self.store, self.scratch)
        return sorted(path for place in places for path in place.rglob("*"))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Prepare the real command in a place of its own."""
    places = [tmp_path / name for name in ("here", "store", "scratch")]
    for place in places:
        place.mkdir()
    return Command(*places)


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
