"""Results that a tracking server could not take: whole runs on disk, until it can.

Each is a file below ``outputs/unrecorded/``, there whole or not at all. The next command that
reaches the server records it first, once. Files that are damaged, or of runs that were deleted from
the server, are named and stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from runner.system.errors import StoreError
from runner.system.files import disk_error, read_state, write_state
from runner.system.paths import outputs_folder, require_targets
from runner.tracking.backend.rows import DatasetPart, LoggedMetric, Run, RunChange

# The tag by which a run is found whose creation was never answered.
ATTEMPT = "runner.attempt"


def folder_of(uri: str) -> Path:
    """Return the folder of what is kept for a server.

    It is the same one whatever user and password its address has, and however it spells this
    machine. A `StoreError` says that it is a link whose target is away.
    """
    parts = urlsplit(uri)
    host = "127.0.0.1" if parts.hostname in {"localhost", "::1"} else parts.hostname or ""
    port = parts.port if parts.port != {"http": 80, "https": 443}.get(parts.scheme) else None
    server = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
    name = hashlib.sha256(server.encode()).hexdigest()[:12]
    folder = outputs_folder() / "unrecorded" / name
    require_targets(folder)
    return folder


def kept_files(uri: str) -> list[Path]:
    """Return the files of what is kept for a server."""
    return sorted(folder_of(uri).glob("*.npz"))


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
    if file.is_symlink() or not file.is_file():
        raise StoreError(f"{file}: must be a file")  # a pipe would be waited for
    state = read_state(file) | {"was_sent": True}  # an earlier try to record it may have broken off
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
        # Opened without waiting, should it be somebody's pipe.
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
    except OSError as error:
        raise disk_error(path, error) from error
