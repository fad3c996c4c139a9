"""Files that are whole or absent: written under another name, flushed to the disk, renamed.

A kill at any instant leaves the old file or the new one, never a torn one.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import secrets
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from runner.system.errors import StoreError
from runner.system.text import on_one_line, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Exceptions that a torn, overwritten or encrypted archive of arrays can raise.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError),
    *(ValueError, TypeError, KeyError, IndexError, OverflowError),
)
# What the system says where it has no more, or lets nobody in: no fault of the program's.
_OF_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EACCES, errno.EPERM}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OF_MACHINE |= {*_NO_ROOM, errno.EROFS}
# In the file of a state: the plain data as JSON, in which a name stands for each array.
_TREE, _ARRAY = "tree", "array #"


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file for writing that replaces `path` when all of it is on the disk.

    An exception inside the block leaves `path` as it was. Raises `StoreError` if the disk is full
    or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_file(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """Flush all that was written to the file system of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:  # not Linux
            os.sync()
        elif syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of numbers, text and arrays, atomically; equal ones alike.

    Raises `StoreError` if the disk is full or the folder cannot be written. Raises `TypeError` or
    `ValueError` if something in it is neither plain data nor an array, or an array of Python
    objects.

    Notes
    -----
    ``.npz`` carries a checksum of each array, so that a flipped bit is noticed.
    """
    import numpy as np

    arrays: dict[str, NDArray[Any]] = {}

    def named(value: object) -> str:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {type(value).__name__} is not plain data")
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = value
        return name

    tree = np.frombuffer(json.dumps(state, default=named).encode(), np.uint8)
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **{_TREE: tree}, **arrays)


def read_state(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Read what `write_state` wrote, from its file or from what was read of it; never unpickles.

    Raises `StoreError` if the file is missing, torn or damaged.
    """
    import numpy as np

    try:
        opened = path.open("rb") if content is None else io.BytesIO(content)
        with opened as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DAMAGED as error:
        # What NumPy says of damage advises to unpickle.
        why = error.strerror if isinstance(error, OSError) and error.errno else "it is damaged"
        raise StoreError(f"{path}: cannot be read as arrays: {why}") from error

    def with_arrays(value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
        if isinstance(value, dict):
            return {key: with_arrays(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [with_arrays(inner) for inner in value]
        return arrays[value] if isinstance(value, str) and value.startswith(_ARRAY) else value

    try:
        return dict(with_arrays(json.loads(arrays.pop(_TREE).tobytes())))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: holds no saved training") from error


def disk_error(path: Path, error: OSError) -> StoreError:
    """Say in one line what the operating system refused, where, and how much room is left."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # A copy of many files failed: what it says of the first will do.
        _, place, why = error.args[0][0]
        return StoreError(f"{place}: cannot be written: {on_one_line(str(why))}")
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    room = room_left(path) if error.errno in _NO_ROOM else ""
    return StoreError(f"{path}: cannot be written: {reason}{room}")


def machine_error(error: BaseException) -> StoreError | None:
    """Return what an error says of the machine, if that lets nobody in or has no more of something.

    Libraries may have wrapped it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StoreError):
            return cause
        if isinstance(cause, MemoryError):
            return StoreError("This machine: has no memory left for it.")
        if isinstance(cause, OSError) and cause.errno in _OF_MACHINE:
            place = "This machine" if cause.filename is None else printable(cause.filename)
            return StoreError(f"{place}: {(cause.strerror or str(cause)).lower()}.")
        cause = cause.__cause__ or cause.__context__
    return None


def room_left(path: Path) -> str:
    """Return `` (1,234 bytes free)`` for the disk of a file that need not exist, or its inodes."""
    for folder in path.parents:
        try:
            free = os.statvfs(folder)
        except OSError:
            continue
        if free.f_files and not free.f_favail:
            return " (no inodes free, which each file needs one of)"
        return f" ({free.f_bavail * free.f_frsize:,} bytes free)"
    return ""
