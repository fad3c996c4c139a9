"""Commands timed from Enter to exit, each on a store of its own, and the lines that judge them.

Knows how to start things, not what they are.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

RUNNER = str(Path(sys.executable).with_name("runner"))
_MIB = 2**20
# Of a process's peak memory: kibibytes on Linux, bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Spent(NamedTuple):
    """What a command took: seconds on the clock, and its peak memory in MiB."""

    wall_s: float
    peak_mib: float


@contextmanager
def fresh_store(template: Path) -> Iterator[Path]:
    """Give a folder with a copy of a migrated database; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as name:
        folder = Path(name)
        shutil.copyfile(template, folder / "mlflow.db")
        yield folder


@contextmanager
def migrated() -> Iterator[Path]:
    """Make a database with MLflow's tables and nothing else."""
    from runner.tracking import database

    with tempfile.TemporaryDirectory(prefix="migrated-") as name:
        file = Path(name, "mlflow.db")
        database.ensure(file, Path(name, "artifacts"))
        yield file


def store_uri(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a command that records in a folder's store, and nowhere else."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return ours | {
        "MLFLOW_TRACKING_URI": store_uri(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # What a person saved as his own settings is not what is measured.
        "XDG_CONFIG_HOME": str(folder),
    }


def spent(command: Sequence[str], folder: Path) -> Spent:
    """Run a command in a folder, its output kept in a file there; say what it took."""
    log = folder / "output.txt"
    with log.open("w") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Spent(wall_s, usage.ru_maxrss * _RSS_UNIT / _MIB)


def peak_mib() -> float:
    """Return the peak memory of this very process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / _MIB


def at_most(name: str, ratio: float, limit: float | None, unit: str = "") -> bool:
    """Print a figure beside its limit, and tell whether it keeps it."""
    return _judge(name, ratio, unit, "at most", limit, limit is None or ratio <= limit)


def at_least(name: str, ratio: float, limit: float | None, unit: str = "") -> bool:
    """Print a figure beside its limit, and tell whether it reaches it."""
    return _judge(name, ratio, unit, "at least", limit, limit is None or ratio >= limit)


def _judge(
    name: str, value: float, unit: str, word: str, limit: float | None, kept: bool
) -> bool:
    asked = "" if limit is None else f"{word} {limit:g}{unit}"
    answer = "" if limit is None else "yes" if kept else "**no**"
    print(f"| {name} | {value:.3g}{unit} | {asked} | {answer} |", flush=True)
    return kept


def judged() -> None:
    """Print the head of the table that `at_most` and `at_least` fill."""
    print("\n| | measured | limit | kept |\n|---|---:|---:|---|")
