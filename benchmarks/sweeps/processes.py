"""Commands timed from Enter to exit, each on a store of its own, and the lines that judge them.

Knows how to start things, not what they are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

RUNNER = str(Path(sys.executable).with_name("runner"))
# Of a process's peak memory: kibibytes on Linux, bytes on macOS.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
# A process's peak is never less than that of whoever started it, so somebody small has to.
_WATCHER = """\
import json, os, sys, time
took, *command = sys.argv[1:]
started = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
with open(took, "w") as file:
    took_s = time.perf_counter() - started
    json.dump([took_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Spent(NamedTuple):
    """What a command took: seconds on the clock and of all its processors, peak memory in MiB."""

    wall_s: float
    cpu_s: float
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
    from runner.tracking.backend import sqlite as database

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
    log, took = folder / "output.txt", folder / "took.json"
    watcher = [sys.executable, "-I", "-S", "-c", _WATCHER, str(took), *command]
    with log.open("w") as output:
        code = subprocess.run(
            watcher, cwd=folder, env=environment(folder), stdout=output, stderr=output, check=False
        ).returncode
    if code:
        said = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{said}")
    wall_s, cpu_s, peak = json.loads(took.read_text("utf-8"))
    return Spent(wall_s, cpu_s, peak * _PEAK_UNIT / 2**20)


def at_most(name: str, value: float, limit: float | None, unit: str = "") -> bool:
    """Print a figure beside its limit, and tell whether it keeps it."""
    return _judge(name, value, unit, "at most", limit, limit is None or value <= limit)


def at_least(name: str, value: float, limit: float | None, unit: str = "") -> bool:
    """Print a figure beside its limit, and tell whether it reaches it."""
    return _judge(name, value, unit, "at least", limit, limit is None or value >= limit)


def _judge(name: str, value: float, unit: str, word: str, limit: float | None, kept: bool) -> bool:
    asked = "" if limit is None else f"{word} {limit:g}{unit}"
    answer = "" if limit is None else "yes" if kept else "**no**"
    print(f"| {name} | {value:.3g}{unit} | {asked} | {answer} |", flush=True)
    return kept


def judged() -> None:
    """Print the head of the table that `at_most` and `at_least` fill."""
    print("\n| | measured | limit | kept |\n|---|---:|---:|---|")
