"""Parquet files to columns: numbers, booleans and text, whatever width and encoding they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from runner.system.errors import DataError, shorten
from runner.system.text import elide
from runner.training.data.columns import Column, ColumnBuilder, Origin, numeric_column
from runner.training.data.dataset import check_room
from runner.training.data.tables import RowsWanted, choose_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.config import FileData

# pandas keeps a filtered table's row numbers in a column of this name.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, file: str, config: FileData | RowsWanted) -> list[Column]:
    """Read the feature columns and, last, the label column, where one is wanted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as source:
            names = [name for name in source.schema_arrow.names if not _PANDAS_INDEX.match(name)]
            wanted = [names[index] for index in choose_columns(file, names, config)]
            n_rows, n_columns = source.metadata.num_rows, len(wanted)
            check_room(file, f"{n_rows:,} rows x {n_columns:,} columns", n_rows * n_columns * 8)
            kinds = [_kind(file, name, source.schema_arrow.field(name).type) for name in wanted]
            table = source.read(columns=wanted, use_threads=False)
        return [
            _column(file, name, kind, table.column(name))
            for name, kind in zip(wanted, kinds, strict=True)
        ]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: must be a whole Parquet file, got a damaged one ({elide(error, 120)})."
        ) from error


def _kind(file: str, name: str, type_: pa.DataType) -> str:
    """Return what a column of this type holds: ``numbers``, ``booleans`` or ``text``."""
    from pyarrow import types

    inner = type_.value_type if types.is_dictionary(type_) else type_
    kinds = {
        "numbers": (types.is_integer, types.is_floating, types.is_decimal),
        "booleans": (types.is_boolean,),
        "text": (types.is_string, types.is_large_string, types.is_string_view, types.is_null),
    }
    for kind, tests in kinds.items():
        if any(test(inner) for test in tests):
            return kind
    raise DataError(
        f"{file}, column {shorten(name, 60)}: must hold numbers, booleans or text, "
        f"got {elide(type_, 60)}."
    )


def _column(file: str, name: str, kind: str, values: pa.ChunkedArray) -> Column:
    import pyarrow.compute as pc
    from pyarrow import float64, types

    origin = Origin(file, f"column {shorten(name, 60)}")
    if values.null_count:
        raise origin.error(pc.index(pc.is_null(values), True).as_py(), "a value", None)
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kind == "numbers":
        return numeric_column(name, values.cast(float64(), safe=False).to_numpy(), origin)
    builder = ColumnBuilder(name, origin)
    cells = values.to_pylist()
    builder.extend([str(cell) for cell in cells] if kind == "booleans" else cells)
    return builder.finish()
