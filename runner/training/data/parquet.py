"""Parquet and Feather files to columns: numbers, booleans, text and dates of any width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.system.errors import DataError, shorten
from runner.system.text import elide
from runner.training.cells import ISO, days_of
from runner.training.data.arrow import floats
from runner.training.data.columns import (
    IN_UTC,
    Column,
    Origin,
    Rules,
    decimal_mark,
    look_alike,
    numeric_column,
    text_column,
    without_format,
)
from runner.training.data.dataset import check_room
from runner.training.data.sources import FEATHER
from runner.training.data.tables import COMMAS, RawTable

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.config.data import FileData
    from runner.training.data.arrow import Cells


def open_arrow(content: bytes, path: Path, file: str, kind: str, config: FileData) -> RawTable:
    """Open a Parquet or Feather file, whose columns are numbers, booleans, text, dates or times.

    `content` is what it holds unpacked; if that is empty, the file at `path` is read. The decimal
    mark is one for all columns of text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    errors = (pa.ArrowException, OSError, UnicodeDecodeError)

    def damaged(error: Exception) -> DataError:
        return DataError(
            f"{file}: must be a whole {kind[2:]}, got a damaged one ({elide(error, 120)})."
        )

    select: Callable[[list[str]], pa.Table]
    try:
        source = pa.BufferReader(content) if content else pa.OSFile(str(path))
        if kind == FEATHER:
            whole = pa.ipc.open_file(source).read_all()
            schema, n_rows, select = whole.schema, whole.num_rows, whole.select
        else:
            parts = pq.ParquetFile(source)
            schema, n_rows = parts.schema_arrow, parts.metadata.num_rows
            select = partial(parts.read, use_threads=False)  # forks have none of them
        all_names = schema.names
        mark: str = config.decimal
        if mark == "auto":
            texts = [field.name for field in schema if _kind(field.type) == "text"]
            texts = [name for name in texts if all_names.count(name) == 1]
            check_room(file, f"{n_rows:,} rows of text", n_rows * len(texts) * 8)
            table = select(texts)
            mark = decimal_mark(file, {name: _texts(table.column(name)) for name in texts})
    except errors as error:
        raise damaged(error) from error

    def read(positions: Sequence[int], rules: Rules) -> list[Column]:
        names = [all_names[position] for position in positions]
        check_room(file, f"{n_rows:,} rows x {len(names):,} columns", n_rows * len(names) * 8)
        holds = [_readable_kind(file, name, schema.field(name).type) for name in names]
        try:
            table = select(names)
            return [
                _column(file, name, what, table.column(name), replace(rules, decimal=mark))
                for name, what in zip(names, holds, strict=True)
            ]
        except errors as error:
            raise damaged(error) from error

    # A point is what `auto` has always meant here: the keys of such runs have it.
    if mark in (config.decimal, "."):
        return RawTable(file, all_names, read)
    return RawTable(file, all_names, read, settings={"decimal": mark}, notes=(COMMAS,))


def _texts(values: Cells) -> Cells:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.fill_null(values.cast(pa.large_string()), "")


def _kind(type_: pa.DataType) -> str:
    """Tell whether a type is of ``numbers``, ``dates``, ``times`` or ``text``; '' if of none."""
    from pyarrow import types

    inner = type_.value_type if types.is_dictionary(type_) else type_
    kinds = {
        "numbers": (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean),
        "dates": (types.is_date, types.is_timestamp),
        "times": (types.is_time,),
        "text": (types.is_string, types.is_large_string, types.is_string_view, types.is_null),
    }
    return next((kind for kind, tests in kinds.items() if any(t(inner) for t in tests)), "")


def _readable_kind(file: str, name: str, type_: pa.DataType) -> str:
    kind = _kind(type_)
    if not kind:
        raise DataError(
            f"{file}, column {shorten(name, 60)}: must hold numbers, booleans, text, dates or "
            f"times, got {elide(type_, 60)}. data.drop leaves it out."
        )
    return kind


def _column(file: str, name: str, holds: str, values: Cells, rules: Rules) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    origin = Origin(file, f"column {shorten(name, 60)}")
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if holds in {"dates", "times"}:
        is_time = holds == "times"
        whole = pc.cast(values, pa.time64("us") if is_time else pa.timestamp("us"))
        microseconds = floats(pc.cast(whole, pa.int64()).cast(pa.float64(), safe=False))
        if is_time:  # of the day that a text without one is read for
            microseconds = microseconds + days_of("0:00", "%H:%M") * 86_400e6
        form = "%H:%M:%S" if is_time else ISO
        has_zone = types.is_timestamp(values.type) and values.type.tz not in (None, "UTC")
        notes = (IN_UTC,) * has_zone + without_format(name, rules)
        return Column(name, "date", microseconds / 86_400e6, origin, form=form, notes=notes)
    if holds == "text" or rules.kinds.get(name) == "words":
        return text_column(name, values.cast(pa.large_string()), origin, rules)
    numbers = floats(values.cast(pa.float64(), safe=False))
    if types.is_integer(values.type) and name not in rules.kinds and look_alike(numbers, values):
        return text_column(name, values.cast(pa.large_string()), origin, rules)
    column = numeric_column(name, numbers, origin, rules)
    return replace(column, words=("False", "True")) if types.is_boolean(values.type) else column
