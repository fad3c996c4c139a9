"""One array of NumPy's format, from bytes that may be hostile.

Without NumPy's own loader: a header is believed only as far as the number of bytes bears it out,
and an array of Python objects, which would be a pickle, is never opened.
"""

from __future__ import annotations

import math
import tokenize
import warnings
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import DataError, shorten
from runner.system.text import elide
from runner.training.data.dataset import check_room

# What a header of nonsense can raise on its way through Python's and NumPy's parsers.
_NO_HEADER = (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError,
              OverflowError, tokenize.TokenError)  # fmt: skip

_COUNTABLE = 1 << 100


@dataclass(frozen=True)
class Header:
    """What an array's header says; `n_bytes` is the header's own length."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    n_bytes: int


def read_header(stream: IO[bytes], size: int, where: str, kinds: tuple[str, str]) -> Header:
    """Read a header, and believe it if the bytes that follow are as many as it claims.

    Parameters
    ----------
    stream : binary file
        At the header's first byte.
    size : int
        Bytes of header and array together.
    where : str
        The array, as messages name it.
    kinds : tuple of str
        NumPy's codes for the kinds that are allowed, and how a person says it.

    Raises
    ------
    DataError
        If there is no such header, or it claims what is not there.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            # Of odd headers: what they are is said by our own errors, or does not matter.
            warnings.simplefilter("ignore")
            shape, fortran_order, dtype = read(stream)
    except _NO_HEADER as error:
        raise DataError(
            f"{where}: must begin with the header of an NPY array, got none that can be read."
        ) from error
    header = Header(shape, fortran_order, dtype, stream.tell())
    codes, allowed = kinds
    if dtype.kind not in codes or dtype.itemsize == 0:
        kind = "Python objects (a pickle, never loaded)" if dtype.hasobject else f"dtype {dtype}"
        raise DataError(f"{where}: must hold {allowed}, got {elide(kind, 60)}.")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != size - header.n_bytes:
        told = f"{claimed:,}" if abs(claimed) < _COUNTABLE else "more than any machine's"
        raise DataError(
            f"{where}: must have {told} bytes, as its header says (shape {shorten(shape)}, "
            f"{dtype}), got {size - header.n_bytes:,}."
        )
    check_room(where, f"the shape {shape} of {dtype}", claimed)
    return header


def array_of(content: bytes, header: Header) -> NDArray[Any]:
    """Return the array that a header and the bytes from its first one on make."""
    values = np.frombuffer(content, np.uint8)[header.n_bytes :].view(header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")
