"""Results that a tracking server could not take: whole runs on disk, until it can.

Each is a file below ``outputs/unrecorded/``, there whole or not at all. The next command that
reaches the store records it first, once.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from runner.system.errors import StoreError
from runner.system.files import disk_error, read_state, write_state
from runner.system.paths import outputs_folder
from runner.system.text import without_passwords
from runner.tracking.backend.rows import DatasetPart, LoggedMetric, Run, RunChange

# The tag by which a run is found whose creation was never answered.
ATTEMPT = "runner.attempt"


def folder_of(uri: str) -> Path:
    """Return the folder of what is kept for a store; its password does not count."""
    name = hashlib.sha256(without_passwords(uri).encode()).hexdigest()[:12]
    return outputs_folder() / "unrecorded" / name


def kept_files(uri: str) -> list[Path]:
    """Return the files of what is kept for a store; of one run, its end as FINISHED comes last."""
    return sorted(folder_of(uri).glob("*.npz"), reverse=True)


def keep(uri: str, change: RunChange) -> None:
    """Keep what is to be written of a run that has ended."""
    import numpy as np

    files = {name: np.frombuffer(content, np.uint8) for name, content in change.files.items()}
    parts = [list(part) for part in change.datasets]
    new = None if change.new is None else asdict(change.new)
    state = {**vars(change), "files": files, "datasets": parts, "new": new}
    path = folder_of(uri) / f"{change.run_id}-{change.status}.npz"
    write_state(path, state)


def read_kept(file: Path) -> RunChange:
    """Read what `keep` wrote, or raise `StoreError` where it is damaged."""
    state = {"was_sent": True} | read_state(file)  # earlier versions always asked
    try:
        state["files"] = {name: bytes(content) for name, content in state["files"].items()}
        state["datasets"] = [DatasetPart(*part) for part in state["datasets"]]
        state["metrics"] = [LoggedMetric(*metric) for metric in state["metrics"]]
        state["new"] = None if state["new"] is None else Run(**state["new"])
        return RunChange(**state)
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{file}: holds no run that was kept") from error


@contextmanager
def locked(uri: str) -> Iterator[None]:
    """Let one process at a time record what is kept for a store."""
    path = folder_of(uri) / "lock"
    try:
        with path.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise disk_error(path, error) from error
