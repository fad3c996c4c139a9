"""Delimited text (CSV, TSV) to columns, naming each fault by its line in the file.

Read with the standard library: it knows the line of each record, counts its fields, and its
numbers are those of a Parquet file to the last bit.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from runner.system.errors import DataError, shorten
from runner.training.data.columns import Column, ColumnBuilder, Origin, is_utf8
from runner.training.data.tables import RowsWanted, choose_columns, listed

if TYPE_CHECKING:
    from runner.config import FileData

_BLOCK_ROWS = 4_096
_DELIMITERS = (",", ";", "\t", "|", " ")


def read_delimited(path: Path, file: str, config: FileData | RowsWanted) -> list[Column]:
    """Read the feature columns and, last, the label column, where one is wanted.

    The text is UTF-8, with or without a byte order mark; its first line names the columns. Those
    that are not wanted are not looked at.
    """
    # A byte that is not UTF-8 comes through as a surrogate, and is refused in the cell that has it.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        records = _records(stream, file, config.delimiter)
        header_line, header = next(records, (0, []))
        if not header:
            raise DataError(f"{file}: must name its columns in the first line, got an empty file.")
        names = [name.strip() for name in header]
        _check_header(f"{file}, line {header_line}", names, config)
        hint = _hint(names, config)
        wanted = choose_columns(file, names, config, header=f", line {header_line}", hint=hint)
        lines: list[int] = []
        builders = {index: _builder(file, names[index], lines) for index in wanted}
        rows = _rows(records, file, len(names), lines)
        while block := list(islice(rows, _BLOCK_ROWS)):
            for index, builder in builders.items():
                builder.extend([row[index] for row in block])
    return [builders[index].finish() for index in wanted]


def _builder(file: str, name: str, lines: list[int]) -> ColumnBuilder:
    column = f"column {shorten(name, 60)}"
    return ColumnBuilder(name, Origin(file, column, lambda row: f"line {lines[row]}"))


def _records(stream: Iterator[str], file: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line it begins on; a quoted cell may go on over several."""
    skip = delimiter != " "
    reader = csv.reader(stream, delimiter=delimiter, strict=True, skipinitialspace=skip)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{file}, line {line}: must be cells separated by {delimiter!r}, quoted with "
                f'pairs of ", got one that cannot be read ({error}).'
            ) from error
        if record and record != [""]:  # blank lines say nothing
            yield line, record


def _rows(
    records: Iterator[tuple[int, list[str]]], file: str, n_columns: int, lines: list[int]
) -> Iterator[list[str]]:
    """Yield the records below the header, and note their lines."""
    for line, record in records:
        if len(record) != n_columns:
            raise DataError(
                f"{file}, line {line}: must have {n_columns} columns as the header has, "
                f"got {len(record)}."
            )
        lines.append(line)
        yield record


def _check_header(line: str, names: list[str], config: FileData | RowsWanted) -> None:
    is_rows = isinstance(config, RowsWanted)
    # Rows without labels may be of a single feature.
    if len(names) == 1 and not (is_rows and config.features == tuple(names)):
        other = _likely_delimiter(names[0], config.delimiter)
        hint = f"\nIts columns look separated by {other!r}" if other else ""
        hint += f": try {_option(other)}" if other and not is_rows else ""
        raise DataError(
            f"{line}: must have at least 2 columns separated by {config.delimiter!r}, "
            f"got only {shorten(names[0], 60)}.{hint}"
        )
    for name in names:
        if not is_utf8(name):
            raw = name.encode("utf-8", "surrogateescape")
            raise DataError(f"{line}: must name the columns in UTF-8, got {shorten(raw, 60)}.")
        if _is_fraction(name):
            raise DataError(
                f"{line}: must name the columns, got the number {name}. Is the header missing?\n"
                f"The line holds {listed(names)}."
            )


def _likely_delimiter(header: str, delimiter: str) -> str:
    counts = {other: header.count(other) for other in _DELIMITERS if other != delimiter}
    # Spaces are part of names too: they count only where nothing else separates.
    if any(count for other, count in counts.items() if other != " "):
        counts.pop(" ", None)
    best = max(counts, key=lambda other: counts[other])
    return best if counts[best] else ""


def _option(delimiter: str) -> str:
    written = "\\t" if delimiter == "\t" else delimiter
    # Both quotes are needed: the shell takes the outer pair, Hydra's grammar the inner one.
    return f"\"data.delimiter='{written}'\""


def _hint(names: list[str], config: FileData | RowsWanted) -> str:
    """Say so, if another delimiter would have separated the label's name."""
    for other in _DELIMITERS:
        parts = {part.strip() for name in names for part in name.split(other)}
        if other != config.delimiter and config.target in parts:
            return f"\nThey may be separated by {other!r}: try {_option(other)}"
    return ""


def _is_fraction(name: str) -> bool:
    try:
        number = float(name)
    except ValueError:
        return False
    return math.isfinite(number) and not number.is_integer()
