"""The folder of a sweep on this machine: its frozen plan, and the lock of whoever runs it.

Two commands for the same sweep take turns, so that nothing is trained twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner.config.search import SearchRecord
from runner.jobs.plan import PLAN, PLAN_FOLDER, Plan
from runner.jobs.search import SEARCH
from runner.system.files import disk_error, write_text

if TYPE_CHECKING:
    from runner.tracking import Store


class SweepFolder:
    """Where a sweep keeps what it needs to go on; `locked` makes it where it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.states = path / "states"

    @classmethod
    def of(cls, store: Store, plan: Plan) -> Self:
        """Return the folder of a sweep, beside its store: both are kept or lost together.

        Stores may share a place, and experiments a store: both count in its name. A password does
        not: whoever gets another one goes on with the same sweep.
        """
        whole = f"{store.address.shown}\n{store.experiment_id}\n{plan.identity}"
        return cls(store.folder / "sweeps" / hashlib.sha256(whole.encode()).hexdigest()[:12])

    @contextmanager
    def locked(self, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Keep the sweep to this process.

        `on_wait` is called with the number of the process that has it, before waiting for that one.
        The kernel lets go of the lock when the process ends, however it ends, and its workers.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what a full disk refuses is said here, and not when the file is closed.
            lock = (self.path / "lock").open("a+b", buffering=0)
        except OSError as error:
            raise disk_error(self.path, error) from error
        with lock:
            try:
                _acquire(lock, on_wait)
            except OSError as error:
                raise disk_error(self.path, error) from error
            yield

    def write_plan(self, plan: Plan) -> Path:
        """Write the plan, all jobs with their keys, and return the folder that it is in."""
        folder = self.path / PLAN_FOLDER
        for unfinished in folder.glob(f".{PLAN}.*.part"):  # of a process that was killed
            unfinished.unlink(missing_ok=True)
        write_text(folder / PLAN, plan.lines())
        if plan.space is not None:
            record = SearchRecord(
                search=plan.first.search,
                metric=plan.first.ranking_metric,
                space=plan.space.dimensions,
            )
            write_text(folder / SEARCH, record.model_dump_json())
        return folder


def _acquire(lock: FileIO, on_wait: Callable[[str], None]) -> None:
    """Wait for a lock, and write into it whose it is now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        on_wait(lock.read().decode(errors="replace").strip() or "unknown")
        fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write(b"%d" % os.getpid())
