"""What was told FINISHED is on the disk first: the order of the flushes, as `strace` sees it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.faults.conftest import Survive
from tests.runner.cli.sweeping import BARE
from tests.runner.conftest import Command

CALLS = "openat,write,pwrite64,fsync,fdatasync,syncfs,rename,close"


def traced(command: Command, durability: str) -> list[str]:
    """Return the calls of a sweep of two jobs, in one worker, in their order."""
    tool = shutil.which("strace")
    if (
        tool is None
        or subprocess.run([tool, "-qq", "-o", os.devnull, "true"], check=False).returncode
    ):
        pytest.skip("strace is missing or may not trace: the order of flushes was NOT tested")
    log = command.scratch / "calls"
    subprocess.run(
        [
            *(tool, "-f", "-y", "-s", "80", "-qq", "-o", log, "-e", f"trace={CALLS}"),
            *(sys.executable, "-m", "runner", "-m", "seed=0,1", "training.steps=20"),
            *BARE,
            *(f"tracking.durability={durability}", "sweep.n_workers=1"),
        ],
        cwd=command.folder,
        env=command.environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return log.read_text(errors="replace").splitlines()


def first(calls: list[str], pattern: str, after: int = -1) -> int:
    """Return the place of the first call of a form, behind another."""
    places = (n for n, call in enumerate(calls) if n > after and re.search(pattern, call))
    found = next(places, None)
    assert found is not None, f"no call {pattern} after {calls[after]}"
    return found


@pytest.mark.parametrize("durability", ["full", "fast"])
def test_files_and_rows_of_a_job_are_flushed_before_it_is_told(
    durability: str, sweeper: Command, survive: Survive
) -> None:
    survive("power cuts")
    calls = traced(sweeper, durability)
    weights = max(
        n
        for n, call in enumerate(calls)
        if re.search(r"write\(\d+<[^>]*/[0-9a-f]{32}/artifacts/weights\.npz", call)
    )
    rows = r"(pwrite64|write)\(\d+<[^>]*mlflow\.db(-wal|-journal)?>"
    flush = r"(fsync|fdatasync)\(\d+<[^>]*mlflow\.db(-wal|-journal)?>"
    told = r"write\(\d+<(pipe|socket|UNIX)[^>]*>.*(Ended|FINISHED)"
    if durability == "fast":
        written = first(calls, rows, weights)
        said = first(calls, told, written)
        assert not any("syncfs" in call for call in calls[weights:said])
        return
    files = first(calls, "syncfs", weights)
    written = first(calls, rows, files)
    flushed = first(calls, flush, written)
    assert first(calls, told, flushed) > flushed
    # Nobody is told of an end whose rows are not on the disk yet.
    assert not any(re.search(told, call) for call in calls[weights:flushed])
