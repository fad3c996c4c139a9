"""NPZ and NPY files to columns.

Without NumPy's own loader: a header is believed only as far as the file's size bears it out, and
an array of Python objects, which would be a pickle, is never opened.
"""

from __future__ import annotations

import math
import re
import sys
import tokenize
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.files import DAMAGED
from runner.system.text import elide
from runner.training.data.columns import Column, ColumnBuilder, Origin, numeric_column
from runner.training.data.dataset import check_room
from runner.training.data.tables import RowsWanted, choose_features, listed

if TYPE_CHECKING:
    from runner.config import FileData

# What may be in an array: NumPy's codes for the kinds, and how a person says it.
_NUMBERS = ("biuf", "numbers or booleans")
_LABELS = ("biufU", "numbers, booleans or text")
# What a header of nonsense can raise on its way through Python's and NumPy's parsers.
_NO_HEADER = (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError,
              OverflowError, tokenize.TokenError)  # fmt: skip
_COUNTABLE = 1 << 100


def read_npz(path: Path, file: str, config: FileData | RowsWanted) -> list[Column]:
    """Read the array ``X``, a table of numbers, and last the labels, where they are wanted.

    These are the array that `target` names, or ``y``. Other arrays are not looked at.
    """
    target = "y" if config.target is None else config.target
    wanted = [("X", _NUMBERS)]
    if not isinstance(config, RowsWanted):
        wanted.append((target, _LABELS))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [_member(archive, file, name) for name, _ in wanted]
            headers = []
            for member, (name, kinds) in zip(members, wanted, strict=True):
                with archive.open(member) as stream:
                    array = f"{file}, array {name!r}"
                    headers.append(read_header(stream, member.file_size, array, kinds))
            _check_table(headers[0], f"{file}, array 'X'")
            n_samples = headers[0].shape[0]
            for header in headers[1:]:
                if header.shape != (n_samples,):
                    raise DataError(
                        f"{file}, array {target!r}: must have the shape ({n_samples},), one label "
                        f"for each row of 'X', got {header.shape}."
                    )
            contents = [archive.read(member) for member in members]
            for member, content in zip(members, contents, strict=True):
                if len(content) != member.file_size:
                    raise EOFError(f"{member.filename!r} ends early")
            X, *labels = map(array_of, contents, headers)
    except DAMAGED as error:
        raise DataError(
            f"{file}: must be a whole NPZ archive, got a damaged one ({error})."
        ) from error
    if isinstance(config, RowsWanted):
        return _rows(file, X, config)
    features = _features(file, X, range(X.shape[1]), target, config)
    return [*features, *(_labels(file, y, target) for y in labels)]


def read_npy(path: Path, file: str, config: FileData | RowsWanted) -> list[Column]:
    """Read a table of numbers: its features and last the labels, where they are wanted.

    `target` counts columns from 0, or from -1 backwards.
    """
    with path.open("rb") as stream:
        header = read_header(stream, path.stat().st_size, file, _NUMBERS)
        _check_table(header, file)
        if isinstance(config, RowsWanted):
            stream.seek(0)
            return _rows(file, array_of(stream.read(), header), config)
        n_columns = header.shape[1]
        rule = f"the index of a column of {shorten(file)}, from -{n_columns} to {n_columns - 1}"
        if config.target is None or not re.fullmatch(r"-?\d{1,9}", config.target):
            raise ConfigError("data.target", rule, config.target)
        target = int(config.target)
        if not -n_columns <= target < n_columns:
            raise ConfigError("data.target", rule, target)
        stream.seek(0)
        table = array_of(stream.read(), header)
    label = _feature_name(target % n_columns)
    others = [column for column in range(n_columns) if column != target % n_columns]
    features = _features(file, table, others, label, config)
    return [*features, _labels(file, table[:, target], label)]


def _member(archive: zipfile.ZipFile, file: str, name: str) -> zipfile.ZipInfo:
    if f"{name}.npy" not in archive.namelist():
        present = [other.removesuffix(".npy") for other in archive.namelist()]
        hint = nearest(name, present)
        raise DataError(
            f"{file}: must hold an array {name!r}, got {listed(present) or 'no arrays'}."
            + (f" {hint}" if hint else "")
        )
    return archive.getinfo(f"{name}.npy")


def _check_table(header: Header, array: str) -> None:
    if len(header.shape) != 2 or header.shape[1] == 0:
        raise DataError(
            f"{array}: must have the shape (n_samples, n_features), got {header.shape}."
        )
    check_room(array, f"the shape {header.shape}", math.prod(header.shape) * 8)  # as float64


def _feature_name(column: int) -> str:
    return f"feature_{column + 1}"


def _rows(file: str, table: NDArray[Any], config: RowsWanted) -> list[Column]:
    """Take the wanted columns by their number in the name or, of a table with names, in order."""
    present = [_feature_name(column) for column in range(table.shape[1])]
    n_wanted = len(config.features)
    if set(config.features) <= set(present):
        columns = [present.index(name) for name in config.features]
    elif table.shape[1] == n_wanted:
        columns = list(range(n_wanted))
    else:
        raise DataError(
            f"{file}: must have {n_wanted:,} columns, those that the network was trained on "
            f"({listed(config.features)}), got {table.shape[1]:,}."
        )
    return [
        numeric_column(name, table[:, column], Origin(file, f"column {name!r}"))
        for name, column in zip(config.features, columns, strict=True)
    ]


def _features(
    file: str, table: NDArray[Any], columns: Iterable[int], label: str, config: FileData
) -> list[Column]:
    by_name = {_feature_name(column): table[:, column] for column in columns}
    names = list(by_name)
    chosen = [names[index] for index in choose_features(file, names, label, config.features)]
    return [
        numeric_column(name, by_name[name], Origin(file, f"column {name!r}")) for name in chosen
    ]


def _labels(file: str, values: NDArray[Any], name: str) -> Column:
    origin = Origin(file, f"labels {name!r}")
    if values.dtype.kind in "iuf":
        return numeric_column(name, values, origin)
    if values.dtype.kind == "U":
        points = values.view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
        beyond = (points.reshape(len(values), -1) > sys.maxunicode).any(axis=1)
        if beyond.any():  # Python fails inside on a character that does not exist
            row = int(np.argmax(beyond))
            raise origin.error(row, "text", values[row : row + 1].tobytes())
    builder = ColumnBuilder(name, origin)
    builder.extend([str(value) for value in values.tolist()])
    return builder.finish()


@dataclass(frozen=True)
class Header:
    """What an array's header says; `n_bytes` is the header's own length."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    n_bytes: int


def read_header(stream: IO[bytes], size: int, array: str, kinds: tuple[str, str]) -> Header:
    """Read a header, and believe it if the bytes that follow are as many as it claims.

    Parameters
    ----------
    stream : binary file
        At the header's first byte.
    size : int
        Bytes of header and array together.
    array : str
        The array, as messages name it.
    kinds : tuple of str
        NumPy's codes for the kinds that are allowed, and how a person says it.

    Raises
    ------
    DataError
        If there is no such header, or it claims what is not there.
    """
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        read = readers[np.lib.format.read_magic(stream)]
        with warnings.catch_warnings():
            # Of odd headers: what they are is said by our own errors, or does not matter.
            warnings.simplefilter("ignore")
            shape, fortran_order, dtype = read(stream)
    except _NO_HEADER as error:
        raise DataError(
            f"{array}: must begin with the header of an NPY array, got none that can be read."
        ) from error
    header = Header(shape, fortran_order, dtype, stream.tell())
    codes, allowed = kinds
    if dtype.kind not in codes or dtype.itemsize == 0:
        kind = "Python objects (a pickle, never loaded)" if dtype.hasobject else f"dtype {dtype}"
        raise DataError(f"{array}: must hold {allowed}, got {elide(kind, 60)}.")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != size - header.n_bytes:
        n_claimed = f"{claimed:,}" if abs(claimed) < _COUNTABLE else "more than any machine's"
        raise DataError(
            f"{array}: must have {n_claimed} bytes, as its header says (shape {shorten(shape)}, "
            f"{dtype}), got {size - header.n_bytes:,}."
        )
    check_room(array, f"the shape {shape} of {dtype}", claimed)
    return header


def array_of(content: bytes, header: Header) -> NDArray[Any]:
    """Return the array that a header and the bytes from its first one on make."""
    values = np.frombuffer(content, np.uint8)[header.n_bytes :].view(header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")
