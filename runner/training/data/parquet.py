"""Parquet files to columns: numbers, booleans and text, whatever width and encoding they have.

pyarrow does the reading; it is imported when a file of this kind is asked for.
"""

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
    """Read the features and the labels of a Parquet file.

    Parameters
    ----------
    path : Path
        The file.
    file : str
        The file, as messages name it.
    config : FileData or RowsWanted
        Its label column and features. Other columns are not read.

    Returns
    -------
    list of Column
        The feature columns and, last, the label column, where one is wanted.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as source:
            names = [name for name in source.schema_arrow.names if not _PANDAS_INDEX.match(name)]
            wanted = [names[index] for index in choose_columns(file, names, config)]
            n_rows, n_columns = source.metadata.num_rows, len(wanted)
            check_room(file, f"{n_rows:,} rows x {n_columns:,} columns", n_rows * n_columns * 8)
            for name in wanted:
                _check_type(file, name, source.schema_arrow.field(name).type)
            table = source.read(columns=wanted, use_threads=False)
        return [_column(file, name, table.column(name)) for name in wanted]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: must be a whole Parquet file, got a damaged one ({elide(error, 120)})."
        ) from error


def _origin(file: str, name: str) -> Origin:
    return Origin(file, f"column {shorten(name, 60)}", lambda row: f"row {row} (the first is 0)")


def _check_type(file: str, name: str, type_: pa.DataType) -> None:
    from pyarrow import types

    inner = type_.value_type if types.is_dictionary(type_) else type_
    numbers = (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    texts = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    if not any(is_kind(inner) for is_kind in (*numbers, *texts)):
        raise DataError(
            f"{file}, column {shorten(name, 60)}: must hold numbers, booleans or text, "
            f"got {elide(type_, 60)}."
        )


def _column(file: str, name: str, values: pa.ChunkedArray) -> Column:
    import pyarrow.compute as pc
    from pyarrow import float64, types

    origin = _origin(file, name)
    if values.null_count:
        row = pc.index(pc.is_null(values), True).as_py()
        raise origin.error(row, "a value", None)
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if (
        types.is_integer(values.type)
        or types.is_floating(values.type)
        or types.is_decimal(values.type)
    ):
        return numeric_column(name, values.cast(float64(), safe=False).to_numpy(), origin)
    builder = ColumnBuilder(name, origin)
    if types.is_boolean(values.type):
        builder.extend(["True" if value else "False" for value in values.to_pylist()])
    else:
        builder.extend(values.to_pylist())
    return builder.finish()
