"""Which process a run belongs to, so that runs of dead ones can be closed at the next start.

Each recording process holds a lock on a file of its own beside the database. The kernel lets go of
the lock however the process ends, so neither reused process numbers nor restarts of the machine or
of a container can deceive. Knows locks, not MLflow.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from runner.tracking.backend.machines import Origin, started_ns


def is_gone(name: str, here: Origin | None = None) -> bool:
    """Tell whether the process of a name was one of this machine, and is no more.

    For runs on a server, where there is no lock to ask. Whatever cannot be told passes for alive: a
    number that is in use again, a process of another container.

    Parameters
    ----------
    name : str
        As `Presence` made it. One of an earlier version says host and number alone, and is taken
        for one of this machine by them.
    here : Origin or None
        Where this process runs; None reads it.
    """
    here = here or Origin.here()
    before, _, last = name.rpartition("-")
    host, _, number = before.rpartition("-")
    if host != here.host or not number.isdecimal():
        return False
    began, _, told = last.partition("_")
    origin = Origin.named(host, told)
    if origin is not None and not origin.shares_numbers(here):
        # What has begun since this machine was started was not ended by that.
        return here.has_restarted_since(origin) and began.isdecimal() and _is_before_start(began)
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError):  # a number that no process has
        return False
    return False


def _is_before_start(began_ns: str) -> bool:
    return len(began_ns) < 20 and int(began_ns) < started_ns()


class Presence:
    """The sign, for as long as this process lives, that its runs are in good hands.

    Parameters
    ----------
    database : Path or None
        The SQLite file that the runs are in; None, for a server elsewhere, where others could not
        see a lock, gives a name alone.

    Attributes
    ----------
    name : str
        Host, process number, start of the recording and where that is: the tag ``runner.process``.
    open_runs : set of str
        Ids of runs that are still to be closed.
    """

    def __init__(self, database: Path | None) -> None:
        here = Origin.here()
        self.name = f"{here.host}-{os.getpid()}-{time.time_ns()}_{here.name}"
        self.open_runs: set[str] = set()
        self._pid = os.getpid()
        self._file: BinaryIO | None = None
        if database is not None:
            self._file = _claim(_folder(database) / self.name)
            atexit.register(self.leave)

    @property
    def is_ours(self) -> bool:
        """Tell whether this very process made it, rather than the one it was forked from."""
        return self._pid == os.getpid()

    def leave(self) -> None:
        """Take the sign away, unless a run is open that the next start has to close."""
        if self._file is None or not self.is_ours or self.open_runs:
            return
        path = Path(self._file.name)
        path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        try:
            path.parent.rmdir()
        except OSError:
            return  # others are at work there


def dead(database: Path) -> Iterator[str]:
    """Go through the processes that ended without closing their runs.

    Yields
    ------
    str
        The name of one. While it is looked at it stays locked, so that nobody else closes its runs
        too; it is forgotten when the next one is asked for.
    """
    try:
        paths = sorted(_folder(database).iterdir())
    except FileNotFoundError:
        return  # nobody is at work, or the last one has just taken the folder away
    for path in paths:
        if path.is_symlink() or not path.is_file():
            continue  # whoever made it, it was none of ours
        try:
            with path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path.name
                path.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue  # alive, closed by another process meanwhile, or another person's


def _folder(database: Path) -> Path:
    return database.with_name(f"{database.name}.running")


def _claim(path: Path) -> BinaryIO:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileNotFoundError:
            continue  # the last one to leave took the folder away
        # Between the two lines another process may take the file for a dead one's.
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        except FileNotFoundError:
            pass
        file.close()
