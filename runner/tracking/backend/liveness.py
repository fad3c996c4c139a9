"""Tells which process records a run, so that the next start can close the runs of dead ones.

Each recording process holds a lock on a file of its own beside the database. The kernel releases
the lock however the process ends, so a reused process number or a restart does not mislead. For
runs on a server, where there is no such file, host and process number must do.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# As `process_name` makes it: anything else beside a database is somebody's.
_NAME = re.compile(r"[\w.-]+-[0-9]{1,10}-[0-9]{19}")


# Linux's own name for the process numbers of a machine, as no container has them.
_NUMBERS_OF_MACHINE = "4026531836"


def is_gone(process: str) -> bool:
    """Tell whether the process of a tag ``runner.process`` ran on this host and has ended."""
    host, _, number = process.rpartition("-")[0].rpartition("-")
    if host != _host() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError):  # another person's; a number that no process has
        return False
    # One that has ended keeps its number until whoever started it has asked how.
    with suppress(OSError):  # no such file on macOS
        return Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return False


def process_name() -> str:
    """Return a name of this process, by which `is_gone` knows it: host, number and the time."""
    return f"{_host()}-{os.getpid()}-{time.time_ns()}"


def _host() -> str:
    """Return the name of this machine; where processes have numbers of their own, with theirs."""
    name = re.sub(r"[^\w.-]", "_", platform.node()) or "host"
    numbers = ""
    with suppress(OSError):  # no such link on macOS
        numbers = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return name if numbers in {"", _NUMBERS_OF_MACHINE} else f"{name}.{numbers}"


class Presence:
    """A file beside the database that stays locked for as long as this process lives.

    Its `name`, the tag ``runner.process``, is host, process number and start of the recording;
    `open_runs` are the ids of runs still to be closed. For a server there is no file.
    """

    def __init__(self, database: Path | None) -> None:
        self.name = process_name()
        self.open_runs: set[str] = set()
        self._pid = os.getpid()
        self._file: BinaryIO | None = None
        if database is not None:
            self._file = _create_locked(_folder(database) / self.name)
            atexit.register(self.leave)

    @property
    def is_ours(self) -> bool:
        """Tell whether this very process made it, rather than the one it was forked from."""
        return self._pid == os.getpid()

    def note(self, text: str) -> None:
        """Keep a text for whoever finds this process dead, in place of the last one."""
        if self._file is not None:
            os.ftruncate(self._file.fileno(), 0)
            os.pwrite(self._file.fileno(), text.encode(), 0)

    def leave(self) -> None:
        """Remove the file, unless a run is open that the next start has to close."""
        if self._file is None or not self.is_ours or self.open_runs:
            return
        path = Path(self._file.name)
        path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        with suppress(OSError):  # other processes record here
            path.parent.rmdir()


def note_of(database: Path, process: str) -> str:
    """Return what one of the `dead` has noted."""
    return (_folder(database) / process).read_text("ascii", "replace")


def dead(database: Path) -> Iterator[str]:
    """Iterate over the names of processes that ended without closing their runs.

    The file of one stays locked until the next is asked for, so that nobody else closes its runs
    too, and is removed then.
    """
    try:
        paths = sorted(_folder(database).iterdir())
    except FileNotFoundError:
        return  # nobody records, or the last process has just removed the folder
    for path in paths:
        if path.is_symlink() or not path.is_file() or not _NAME.fullmatch(path.name):
            continue  # not made by a `Presence`
        try:
            with path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path.name
                path.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue  # alive, closed by another process meanwhile, or another person's


def _folder(database: Path) -> Path:
    return database.with_name(f"{database.name}.running")


def _create_locked(path: Path) -> BinaryIO:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileNotFoundError:
            continue  # the last process to leave has removed the folder
        # Before it is locked, another process may take the file for a dead one's.
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()
