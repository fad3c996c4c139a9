"""A person's own file: checks that it is what its name says, then calls the reader for its kind.

A file is hostile until it is read: nothing is unpickled, and nothing is allocated on its word.
"""

from __future__ import annotations

import csv
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.paths import expanded
from runner.system.text import printable
from runner.training.data.columns import Column
from runner.training.data.dataset import Dataset, FloatArray
from runner.training.data.tables import RowsWanted, dataset_from_columns

if TYPE_CHECKING:
    from runner.config import FileData

_TEXT, _PARQUET, _NPZ, _NPY = "delimited text", "a Parquet file", "an NPZ archive", "an NPY array"
_KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _TEXT),
    ".parquet": _PARQUET,
    ".npz": _NPZ,
    ".npy": _NPY,
}
_FIRST_BYTES = {
    b"PAR1": _PARQUET,
    b"PK": _NPZ,  # or another zip, which has no arrays in it
    b"\x93NUMPY": _NPY,
    b"\x80": "a pickle (never loaded)",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"%PDF": "a PDF file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def load_file(config: FileData) -> Dataset:
    """Read a person's own table."""
    path = expanded(config.path)
    *features, labels = _columns(path, printable(config.path), config)
    return dataset_from_columns(path.stem, str(path.absolute()), features, labels)


def load_rows(
    path: Path, features: Sequence[str], delimiter: str | None = None
) -> dict[str, FloatArray | list[str]]:
    """Read the raw rows of a person's own table, without any labels.

    Parameters
    ----------
    path : Path
        Of one of the kinds that `load_file` takes.
    features : sequence of str
        The columns to read.
    delimiter : str or None
        Of delimited text; another one is taken where that gives the columns.

    Returns
    -------
    dict of str to ndarray or list of str
        Numbers or words by column. The words true and false are 1 and 0.

    Raises
    ------
    DataError
        If the file is of no use; the text names the line and the column.
    """
    wanted = RowsWanted(tuple(features), _delimiter_of(path, features, delimiter))
    columns = _columns(path, printable(path), wanted)
    if any(not len(column.values) for column in columns):
        raise DataError(f"{printable(path)}: must hold at least one row, got none.")
    return {column.name: _with_truth_as_numbers(column.values) for column in columns}


def _delimiter_of(path: Path, features: Sequence[str], likely: str | None) -> str:
    """Return the delimiter by which the columns of a text file have the names wanted."""
    first = likely or ("\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            line = stream.readline(1 << 20)
    except OSError:
        return first  # the reader says what is wrong with the file
    for delimiter in (first, ",", ";", "\t", "|"):
        names = {name.strip() for row in csv.reader([line], delimiter=delimiter) for name in row}
        if names.issuperset(features):
            return delimiter
    return first


def _with_truth_as_numbers(values: FloatArray | list[str]) -> FloatArray | list[str]:
    if not isinstance(values, list) or not {word.lower() for word in values} <= {"true", "false"}:
        return values
    return np.array([word.lower() == "true" for word in values], np.float64)


def _columns(path: Path, file: str, config: FileData | RowsWanted) -> list[Column]:
    """Read columns with the reader for the file's kind."""
    head = _head(path, file)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise DataError(
            f"{file}: must end in {', '.join(_KINDS)}, got {shorten(path.suffix or path.name)}."
        )
    if not head:
        raise DataError(f"{file}: must hold {kind}, got an empty file.")
    content = _kind_of(head)
    if content != kind:
        raise DataError(f"{file}: must be {kind}, as its name says, got {content}.")
    if kind == _PARQUET:
        from runner.training.data.parquet import read_parquet as read
    elif kind == _NPZ:
        from runner.training.data.arrays import read_npz as read
    elif kind == _NPY:
        from runner.training.data.arrays import read_npy as read
    else:
        from runner.training.data.delimited import read_delimited as read
    try:
        return read(path, file, config)
    except OSError as error:
        raise DataError(f"{file}: must be readable, got {error.strerror or error}.") from error


def _head(path: Path, file: str) -> bytes:
    """Read the first bytes of a file that must be there."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            what = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
            raise DataError(f"{file}: must be a file, got {what}.")
        with path.open("rb") as stream:
            return stream.read(4_096)
    except FileNotFoundError:
        folder = path.absolute().parent
        hint = f"There is no folder {folder}."
        if folder.is_dir():
            names = (entry.name for entry in folder.iterdir())
            hint = nearest(path.name, names) or f"There is no such file in {folder}."
        raise ConfigError("data.path", "a file", str(path), hint) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError("data.path", "a file that can be read", str(path), f"{reason}.") from None


def _kind_of(head: bytes) -> str:
    for first, kind in _FIRST_BYTES.items():
        if head.startswith(first):
            return kind
    return "a binary file" if b"\0" in head else _TEXT
