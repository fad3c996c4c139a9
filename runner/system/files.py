"""Files that are whole or absent: written under another name, flushed to the disk, renamed.

A kill at any instant leaves the old file or the new one, never a torn one. This module knows
bytes and NumPy arrays; what they mean is its callers' affair.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import StoreError

# What a torn, scribbled-over or encrypted archive of arrays raises, depending on the byte.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError),
    *(ValueError, TypeError, KeyError, IndexError, OverflowError),
)
# Of a saved state: the names of what is not an array, and of the arrays.
_TREE = "tree"
_ARRAY = "array #"


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when all of it is on the disk.

    Parameters
    ----------
    path : Path
        Where the file is to appear; a file already there is replaced.

    Yields
    ------
    binary file
        For writing. An exception inside the block leaves `path` as it was.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.

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


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically, as UTF-8.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    """
    with atomic_file(path) as file:
        file.write(text.encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as ``.npz``, atomically; equal arrays give equal bytes.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    ValueError
        If an array holds Python objects, which only a pickle could store.

    Notes
    -----
    ``.npz`` rather than ``.npy``: its archive carries a checksum, so a flipped bit is found.
    """
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote; never unpickles.

    Raises
    ------
    StoreError
        If the file is missing, torn or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DAMAGED as error:
        raise StoreError(f"{path}: cannot be read as arrays: {error}") from error


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of numbers, text and arrays, atomically.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    TypeError
        If something in it is neither plain data nor an array.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def take_out(value: object) -> str:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {type(value).__name__} is not plain data")
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = value
        return name

    tree = json.dumps(state, default=take_out)
    write_arrays(path, {_TREE: np.frombuffer(tree.encode(), np.uint8), **arrays})


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises
    ------
    StoreError
        If the file is missing, torn or damaged.
    """
    arrays = read_arrays(path)

    def put_back(value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
        if isinstance(value, dict):
            return {key: put_back(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [put_back(inner) for inner in value]
        return arrays[value] if isinstance(value, str) and value.startswith(_ARRAY) else value

    try:
        return dict(put_back(json.loads(arrays.pop(_TREE).tobytes())))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: holds no saved training") from error


def disk_error(place: Path, error: OSError) -> StoreError:
    """Say in one line what the operating system refused, where, and how much room is left."""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return StoreError(f"{place}: cannot be written: {reason}{room_left(place)}")


def room_left(place: Path) -> str:
    """Return `` (1,234 bytes free)`` for the disk of a file that need not exist."""
    for folder in place.parents:
        try:
            free = os.statvfs(folder)
        except OSError:
            continue
        return f" ({free.f_bavail * free.f_frsize:,} bytes free)"
    return ""
