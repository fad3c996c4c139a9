"""Convert texts and NumPy arrays to pyarrow's arrays and back, and write them as Parquet.

pyarrow's own conversions import pandas first, which takes longer than recording 200 runs.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    Cells: TypeAlias = pa.ChunkedArray | pa.Array


def strings(texts: Sequence[str | None]) -> pa.Array:
    """Return texts as an array of strings; None is a null."""
    import pyarrow as pa

    content = [b"" if text is None else text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, content)], dtype=np.int64)
    validity = None
    if None in texts:
        bits = np.packbits([text is not None for text in texts], bitorder="little")
        validity = pa.py_buffer(bits)
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(b"".join(content))]
    return pa.Array.from_buffers(pa.large_string(), len(content), buffers)


def numbers(texts: pa.Array) -> pa.Array:
    """Return an array of strings as whole numbers or doubles, or as it is where some are neither.

    Examples
    --------
    >>> [numbers(strings(texts)).to_pylist() for texts in (["1", None], ["1", "0.5"], ["1", "a"])]
    [[1, None], [1.0, 0.5], ['1', 'a']]
    """
    import pyarrow as pa

    for kind in (pa.int64(), pa.float64()):
        with suppress(pa.ArrowInvalid):
            return texts.cast(kind)
    return texts


def floats(values: Cells) -> NDArray[np.float64]:
    """Return an array of doubles, NaN for its nulls."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        if values.num_chunks != 1:
            return np.concatenate([np.empty(0), *map(floats, values.chunks)])
        values = values.chunk(0)
    validity, content = values.buffers()
    start, stop = values.offset, values.offset + len(values)
    doubles = np.frombuffer(content, np.float64)[start:stop]
    if not values.null_count:
        return doubles
    is_there = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[start:stop]
    return np.where(is_there, doubles, np.nan)


def parquet(table: Mapping[str, NDArray[Any] | pa.Array]) -> bytes:
    """Return columns, texts as objects, as the content of a Parquet file."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    columns = {
        name: _column(values) if isinstance(values, np.ndarray) else values
        for name, values in table.items()
    }
    sink = io.BytesIO()
    write_table(pa.table(columns), sink)
    return sink.getvalue()


def _column(values: NDArray[Any]) -> pa.Array:
    import pyarrow as pa

    if values.dtype.kind in "iuf":
        content = pa.py_buffer(np.ascontiguousarray(values))
        kind = pa.from_numpy_dtype(values.dtype)
        return pa.Array.from_buffers(kind, len(values), [None, content])
    cells = values.tolist()
    return strings(cells) if all(isinstance(cell, str) for cell in cells) else pa.array(cells)
