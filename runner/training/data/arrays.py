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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.files import DAMAGED
from runner.system.text import elide
from runner.training.data.columns import (
    Column,
    Origin,
    Rules,
    numeric_column,
    strings,
    text_column,
)
from runner.training.data.dataset import check_room
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


def open_npz(path: Path, file: str, config: FileData, *, has_target: bool = True) -> RawTable:
    """Open an archive of two arrays: ``X``, a table of numbers, and the labels.

    The labels are the array that `target` names, or ``y``; with ``y_train``, as Keras writes it,
    the table is ``x_train``. Other arrays are not looked at, and each row of the table may be an
    image. Rows that are to be predicted have no labels.
    """
    target = "y" if config.target is None else config.target
    table = target.replace("y", "x", 1) if re.fullmatch(r"y_\w+", target) else "X"
    wanted = [(table, _NUMBERS), *([(target, _LABELS)] if has_target else [])]
    try:
        with zipfile.ZipFile(path) as archive:
            members = [_member(archive, file, name) for name, _ in wanted]
            headers = []
            for member, (name, kinds) in zip(members, wanted, strict=True):
                with archive.open(member) as stream:
                    array = f"{file}, array {name!r}"
                    headers.append(read_header(stream, member.file_size, array, kinds))
            _check_table(headers[0], f"{file}, array {table!r}")
            n_samples = headers[0].shape[0]
            for header in headers[1:]:
                if header.shape not in ((n_samples,), (n_samples, 1)):
                    raise DataError(
                        f"{file}, array {target!r}: must have the shape ({n_samples},), one label "
                        f"for each row of {table!r}, got {header.shape}."
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
    n_features = math.prod(headers[0].shape[1:])
    X = X.reshape(n_samples, n_features)
    y = labels[0].reshape(n_samples) if labels else None
    return _array_table(file, X, y, target if labels else None)


def open_npy(path: Path, file: str, config: FileData, *, has_target: bool = True) -> RawTable:
    """Open a table of numbers, of which `target` counts columns from 0, or from -1 backwards."""
    with path.open("rb") as stream:
        header = read_header(stream, path.stat().st_size, file, _NUMBERS)
        _check_table(header, file)
        if len(header.shape) != 2:
            raise DataError(
                f"{file}: must have the shape (n_samples, n_features), got {header.shape}."
            )
        stream.seek(0)
        table = array_of(stream.read(), header)
    n_columns = header.shape[1]
    target = config.target or ""
    is_index = re.fullmatch(r"-?\d{1,9}", target) and -n_columns <= int(target) < n_columns
    if has_target and not is_index:
        rule = f"the index of a column of {shorten(file)}, from -{n_columns} to {n_columns - 1}"
        raise ConfigError("data.target", rule, config.target)
    return _array_table(file, table, None, None)


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
