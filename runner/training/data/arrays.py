"""NPZ, NPY and IDX files to columns.

Without NumPy's own loader: a header is believed only as far as the file's size bears it out, and
an array of Python objects, which would be a pickle, is never opened.
"""

from __future__ import annotations

import io
import math
import re
import sys
import tokenize
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.files import DAMAGED
from runner.system.text import elide, printable
from runner.training.data.arrow import strings
from runner.training.data.columns import (
    Column,
    Origin,
    Rules,
    numeric_column,
    text_column,
)
from runner.training.data.dataset import check_room
from runner.training.data.sources import check_unpacked, read_source
from runner.training.data.tables import RawTable, listed

if TYPE_CHECKING:
    from runner.config.data import FileData

# What may be in an array: NumPy's codes for the kinds, and how a person says it.
_NUMBERS = ("biuf", "numbers or booleans")
_LABELS = ("biufU", "numbers, booleans or text")
# What a header of nonsense can raise on its way through Python's and NumPy's parsers.
_NO_HEADER = (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError,
              OverflowError, tokenize.TokenError)  # fmt: skip
_COUNTABLE = 1 << 100


def open_npz(content: bytes, file: str, config: FileData, *, has_target: bool = True) -> RawTable:
    """Open an archive of a table of numbers and its labels.

    The labels are the array that `target` names, or else ``y`` or ``y_train``; the table is ``X``,
    the only other array, or ``x_train`` as Keras writes it: ``x_test`` and ``y_test`` then are test
    rows. Others are not looked at, and each row of the table may be an image. Rows that are to be
    predicted have no labels.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            present = {name.removesuffix(".npy") for name in archive.namelist()}
            target = config.target
            if isinstance(target, tuple):
                raise ConfigError("data.target", "the name of one array of labels", list(target))
            if target is None:
                target = "y_train" if "y" not in present and "y_train" in present else "y"
            table = target.replace("y", "x", 1) if re.fullmatch(r"y_\w+", target) else "X"
            others = present - {target}
            if table not in present and len(others) == 1:
                (table,) = others
            pairs = [(table, target)]
            if has_target and target == "y_train" and present >= {"x_test", "y_test"}:
                pairs.append(("x_test", "y_test"))
            parts = [_pair(archive, file, X, y if has_target else None) for X, y in pairs]
    except DAMAGED as error:
        raise DataError(
            f"{file}: must be a whole NPZ archive, got a damaged one ({error})."
        ) from error
    widths = {X.shape[1] for X, _ in parts}
    if len(widths) > 1:
        raise DataError(
            f"{file}, array 'x_test': must have {parts[0][0].shape[1]:,} numbers a row as "
            f"'x_train' has, got {parts[1][0].shape[1]:,}."
        )
    X, y = (
        np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        for arrays in zip(*parts, strict=True)
    )
    read = _array_table(file, X, y if has_target else None, target if has_target else None)
    return replace(read, n_test=len(parts[1][0]) if parts[1:] else 0)


def _pair(
    archive: zipfile.ZipFile, file: str, table: str, target: str | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read a table, of shape (n_samples, n_features), and its labels; none without a target."""
    X = _member(archive, file, table, _NUMBERS)
    n_samples = len(X)
    y = np.empty(n_samples)
    if target is not None:
        y = _member(archive, file, target, _LABELS, f"({n_samples},)", n_samples)
    return X.reshape(n_samples, math.prod(X.shape[1:])), y.reshape(n_samples)


def open_npy(content: bytes, file: str) -> RawTable:
    """Open a table of numbers, whose columns are called feature_1, feature_2, ..."""
    header = read_header(io.BytesIO(content), len(content), file, _NUMBERS)
    _check_table(header, file)
    if len(header.shape) != 2:
        raise DataError(f"{file}: must have the shape (n_samples, n_features), got {header.shape}.")
    return _array_table(file, array_of(content, header), None, None)


def open_idx(content: bytes, file: str, labels: Path | None) -> RawTable:
    """Open IDX images, as MNIST has them, with the labels in a file of their own."""
    X = _idx_array(content, file)
    if X.ndim < 2 or not X[:1].size:
        raise DataError(f"{file}: must have the shape (n_samples, ...), got {X.shape}.")
    X = X.reshape(len(X), -1)
    if labels is None:
        return _array_table(file, X, None, None)
    name = printable(labels)
    y = _idx_array(read_source(labels, name)[1], name)
    if y.shape != (len(X),):
        raise DataError(f"{name}: must hold {len(X):,} labels, got the shape {y.shape}.")
    return _array_table(file, X, y, "label")


# The types of numbers of an IDX file, by the third byte.
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def _idx_array(content: bytes, file: str) -> NDArray[Any]:
    """Return the array of an IDX file: type, number of axes, their lengths, then the numbers."""
    start = 4 + 4 * content[3] if len(content) > 3 else 4
    if len(content) < start or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise DataError(f"{file}: must begin with the header of an IDX file, got none.")
    dtype = np.dtype(_IDX_TYPES[content[2]])
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist())
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != len(content) - start:
        raise DataError(
            f"{file}: must have {claimed:,} bytes, as its header says (shape {shape}), got "
            f"{len(content) - start:,}."
        )
    check_room(file, f"the shape {shape}", math.prod(shape) * 8)
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _array_table(
    file: str, X: NDArray[Any], y: NDArray[Any] | None, target: str | None
) -> RawTable:
    """Name the columns of an array, with its labels as the last one."""
    names = [_feature_name(column) for column in range(X.shape[1])]

    def read(positions: Sequence[int], rules: Rules) -> list[Column]:
        return [
            _labels(file, y, target or "", rules)
            if position == len(names) and y is not None
            else numeric_column(
                names[position], X[:, position], Origin(file, f"column {names[position]!r}"), rules
            )
            for position in positions
        ]

    return RawTable(file, names if target is None else [*names, target], read, target=target)


def _member(
    archive: zipfile.ZipFile,
    file: str,
    name: str,
    kinds: tuple[str, str],
    rule: str = "",
    n_samples: int = 0,
) -> NDArray[Any]:
    """Read an array of an archive: a table or, with a rule, one label for each of its rows."""
    if f"{name}.npy" not in archive.namelist():
        present = [other.removesuffix(".npy") for other in archive.namelist()]
        hint = nearest(name, present)
        raise DataError(
            f"{file}: must hold an array {name!r}, got {listed(present) or 'no arrays'}. {hint}\n"
            "data.target=NAME names the labels; the table is the other array, or X or x_train."
        )
    member, array = archive.getinfo(f"{name}.npy"), f"{file}, array {name!r}"
    with archive.open(member) as stream:
        header = read_header(stream, member.file_size, array, kinds)
    if not rule:
        _check_table(header, array)
    elif header.shape not in ((n_samples,), (n_samples, 1)):
        raise DataError(
            f"{array}: must have the shape {rule}, one label for each row of the table, got "
            f"{header.shape}.\ny.argmax(axis=1) makes labels of one-hot rows; data.target names "
            "another array."
        )
    check_unpacked(file, member.file_size)
    content = archive.read(member)
    if len(content) != member.file_size:
        raise EOFError(f"{member.filename!r} ends early")
    return array_of(content, header)


def _check_table(header: Header, array: str) -> None:
    if len(header.shape) < 2 or math.prod(header.shape[1:]) == 0:
        raise DataError(
            f"{array}: must have the shape (n_samples, n_features), got {header.shape}."
        )
    check_room(array, f"the shape {header.shape}", math.prod(header.shape) * 8)  # as float64


def _feature_name(column: int) -> str:
    return f"feature_{column + 1}"


def _labels(file: str, values: NDArray[Any], name: str, rules: Rules) -> Column:
    origin = Origin(file, f"labels {name!r}")
    if values.dtype.kind in "iuf":
        return numeric_column(name, values, origin, rules)
    if values.dtype.kind == "U":
        points = values.view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
        beyond = (points.reshape(len(values), -1) > sys.maxunicode).any(axis=1)
        if beyond.any():  # Python fails inside on a character that does not exist
            row = int(np.argmax(beyond))
            raise origin.error(row, "text", values[row : row + 1].tobytes())
    cells = [str(value) for value in values.tolist()]
    return text_column(name, strings(cells), origin, rules)


@dataclass(frozen=True)
class Header:
    """What an array's header says; `n_bytes` is the header's own length."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    n_bytes: int


def read_header(stream: IO[bytes], size: int, array: str, kinds: tuple[str, str]) -> Header:
    """Read a header, and believe it if the bytes that follow are as many as it claims.

    The stream is at the header's first byte; `size` is of header and array together, in bytes. The
    `kinds` are NumPy's codes for the kinds that are allowed, and how a person says it. Raises
    `DataError` if there is no such header, or it claims what is not there.
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
    return header


def array_of(content: bytes, header: Header) -> NDArray[Any]:
    """Return the array that a header and the bytes from its first one on make."""
    values = np.frombuffer(content, np.uint8)[header.n_bytes :].view(header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")
