"""Faults of the machine, for the tests of what must survive them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
Inject = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def inject() -> Inject:
    """Run Python code in a process whose system calls fail, or kill it, as strace is told."""
    tool = shutil.which("strace")
    if tool is None or subprocess.run([tool, "-qq", "true"], check=False).returncode != 0:
        pytest.skip("strace is missing or may not trace: faults of the disk were NOT tested")

    def run(fault: str, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        call = fault.split(":", maxsplit=1)[0]
        # Compiled files are written and renamed too, which would shift the count of calls.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(
            [tool, "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={fault}"]
            + [sys.executable, "-c", code, *map(str, arguments)],
            env=environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
