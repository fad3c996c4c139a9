"""Lines of JSON and Excel workbooks to columns: their cells as the text that a CSV would hold."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import zipfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from runner.system.errors import DataError, shorten
from runner.system.text import elide
from runner.training.cells import LARGEST_WHOLE
from runner.training.data.arrow import strings
from runner.training.data.delimited import find_header, refuse_title
from runner.training.data.sources import check_unpacked
from runner.training.data.tables import RawTable, cells_table

if TYPE_CHECKING:
    from runner.config.data import FileData
    from runner.config.plugins import Reader

# The largest sheet that Excel knows; a row's number is not believed beyond it.
_MOST_ROWS = 1 << 20
# How much more memory a sheet takes than its XML, at least.
_PER_BYTE = 4


def open_lines(content: bytes, file: str, config: FileData) -> RawTable:
    """Open a file with a JSON object in each line: its keys are the columns, null is missing."""
    rows: dict[int, dict[str, str]] = {}
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            # Numbers keep their text, of which the rules for all kinds of cells make numbers.
            row = json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_distinct)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{file}, line {line}: must be an object of JSON, got one that cannot be read "
                f"({elide(error, 80)})."
            ) from None
        if not isinstance(row, dict):
            raise DataError(f"{file}, line {line}: must be an object of JSON, got {shorten(row)}.")
        for name, value in row.items():
            if isinstance(value, dict | list):
                raise DataError(
                    f"{file}, line {line}, column {shorten(name, 60)}: must be a number, a text, "
                    f"true, false or null, got {shorten(value, 60)}."
                )
        rows[line] = {name: "" if value is None else str(value) for name, value in row.items()}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not names:
        raise DataError(f"{file}: must hold rows, got an empty file.")
    cells = [strings([row.get(name, "") for row in rows.values()]) for name in names]
    lines = list(rows)
    return cells_table(file, names, cells, lambda row: f"line {lines[row]}", config)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key is there twice")
    return row


def open_excel(content: bytes, file: str, config: FileData) -> RawTable:
    """Open the first sheet of a workbook; formulas count by the values that were last computed."""
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            f"{file}: an Excel workbook is read by openpyxl, which is not installed.\n"
            "It comes with: pip install 'softnet-runner[excel]'"
        ) from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_unpacked(file, _PER_BYTE * sum(m.file_size for m in archive.infolist()))
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = _rows(sheet.iter_rows(values_only=True), file)
    except DataError:
        raise
    # A hostile workbook fails anywhere in a parser that does not check what it reads.
    except Exception as error:  # noqa: BLE001
        raise DataError(
            f"{file}: must be a whole Excel workbook, got a damaged one ({elide(error, 80)})."
        ) from None
    width = max(map(len, rows.values()), default=0)
    if not width:
        raise DataError(f"{file}: must hold rows, got an empty sheet {shorten(sheet.title)}.")
    numbers, records = list(rows), [row + [""] * (width - len(row)) for row in rows.values()]
    has_header, notes = find_header(records[:50], config)
    if has_header and config.header is None:
        refuse_title(list(zip(numbers, records[:50], strict=False)), config, f"{file}, row")
    if has_header and width > 1 and records[0] in records[1:]:
        again = numbers[records.index(records[0], 1)]
        raise DataError(f"{file}, row {again}: must be a row, got the header again. Take it out.")
    names = [
        (text.strip() if has_header else "") or (f"Unnamed: {n}" if has_header else str(n))
        for n, text in enumerate(records[0])
    ]
    body = records[has_header:]
    columns = list(zip(*body, strict=True)) if body else [()] * width
    empty = [name for name, cells in zip(names, columns, strict=True) if not any(cells)]
    if empty and body and _has_formulas(content):
        saved = "of formulas what Excel computed and saved is read"
        notes += (f"no values in {elide(', '.join(empty), 60)}: {saved}",)
    if others := len(book.worksheets) - 1:
        notes += (f"sheet {sheet.title}, the first of {others + 1}",)
    return cells_table(
        file,
        names,
        [strings(column) for column in columns],
        lambda row: f"row {numbers[row + has_header]}",
        config,
        header=f", row {numbers[0]}" if has_header else "",
        settings={"header": has_header},
        notes=notes,
    )


def _has_formulas(content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(re.search(rb"<f[ >]", archive.read(name)) for name in sheets)


def open_by_plugin(read: Reader, content: bytes, file: str, config: FileData) -> RawTable:
    """Open a file with the reader of a plugin, whose cells are read as those of a sheet."""
    try:
        columns = {str(name): [_text(v) for v in values] for name, values in read(content).items()}
    except Exception as error:  # whatever a person's own code raises
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{file}: its plugin must return columns, got {reason}.") from error
    if len({len(cells) for cells in columns.values()}) != 1:
        raise DataError(f"{file}: its plugin must return columns of one length.")
    cells = [strings(values) for values in columns.values()]
    return cells_table(file, list(columns), cells, lambda row: f"row {row + 1}", config)


def _rows(sheet: Iterable[tuple[Any, ...]], file: str) -> dict[int, list[str]]:
    """Return the rows that hold anything by their number, without the empty cells at their ends."""
    rows = {}
    for number, values in enumerate(sheet, start=1):
        if number > _MOST_ROWS:
            raise DataError(f"{file}: must have at most {_MOST_ROWS:,} rows, got more.")
        cells = [_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            rows[number] = cells
    return rows


def _text(value: object) -> str:
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE:
        value = int(value)  # Excel has no other numbers
    return "" if value is None or value != value else str(value)  # noqa: PLR0124  (NaN alone)
