"""How a database that we make keeps its changes: in a log beside it, where its disk allows that.

With SQLite's write-ahead log a change costs one write instead of three flushes to the disk, and
nobody who reads waits for somebody who writes. Knows SQLite files and mounts, not MLflow.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

# The log is shared through memory, which only processes of one machine share: SQLite forbids it on
# a disk that several machines write to. What is not known to be a machine's own is taken for such.
_LOCAL = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}
_MOUNTS = Path("/proc/self/mountinfo")


def keep_log(database: Path) -> None:
    """Turn the write-ahead log on, for good: the file itself says so to whoever opens it.

    For a database that we make. One that is there already keeps what it has, since its owner may
    share it with other machines, or copy it as a single file while it is in use.

    Parameters
    ----------
    database : Path
        A SQLite file that nobody else has open.
    """
    if file_system_of(database.parent) in _LOCAL:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")


def file_system_of(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of file system that a folder is on; None where that cannot be known.

    Parameters
    ----------
    folder : Path
        Any folder that is there.
    mounts : Path
        Linux's list of what is mounted.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    wanted = Path(os.path.realpath(folder))
    found: tuple[int, str | None] = (-1, None)
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        # The kernel writes a space as \040.
        place = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[4]))
        # A later mount hides an earlier one on the same place.
        if wanted.is_relative_to(place) and len(place.parts) >= found[0]:
            found = (len(place.parts), after.split(" ")[0])
    return found[1]
