"""Every value of every metric as a table of delimited text: written, and read as anybody's.

Knows nothing of where the file is, nor of what the metrics mean.
"""

from __future__ import annotations

import csv
import io
import re

from runner.system.errors import RecordError, shorten
from runner.training.run_files import Metrics

_HEADER = ["metric", "step", "value"]
# Steps of up to 63 bits, as stores keep them.
_STEP = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"[-+.0-9eE]+|[-+]?(nan|inf)")


def write_metrics(metrics: Metrics) -> bytes:
    """Write a line for each value, by step; numbers with all their digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for (name, step), values in sorted(metrics.items(), key=lambda item: (item[0][1], item[0][0])):
        writer.writerows([name, step, repr(value)] for value in values)
    return text.getvalue().encode(errors="backslashreplace")


def parse_metrics(content: bytes, file: str) -> Metrics:
    """Read what `write_metrics` wrote.

    Parameters
    ----------
    content : bytes
        UTF-8 text.
    file : str
        As messages name it.

    Raises
    ------
    RecordError
        If it is of another form; the message has the line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"{file}, byte {error.start + 1}: must be UTF-8 text.") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: dict[tuple[str, int], list[float]] = {}
    try:
        header = next(rows, [])
        if header != _HEADER:
            told = shorten(",".join(header))
            raise RecordError(f"{file}, line 1: must be {','.join(_HEADER)}, got {told}.")
        for row in rows:
            name, step, value = _checked(row, f"{file}, line {rows.line_num:,}")
            found.setdefault((name, step), []).append(value)
    except csv.Error as error:
        where = f"{file}, line {max(rows.line_num, 1):,}"
        raise RecordError(f"{where}: must be metric,step,value, got {_words(error)}.") from None
    return {at: tuple(values) for at, values in found.items()}


def _checked(row: list[str], where: str) -> tuple[str, int, float]:
    if len(row) != len(_HEADER):
        told = shorten(",".join(row))
        raise RecordError(f"{where}: must be metric,step,value, got {told}.")
    name, step, value = row
    if not _STEP.fullmatch(step):
        raise RecordError(
            f"{where}: the step must be a whole number of at most 19 digits, got {shorten(step)}."
        )
    try:
        number = float(value) if _NUMBER.fullmatch(value) else None
    except ValueError:
        number = None
    if number is None:
        raise RecordError(f"{where}: the value must be a number, got {shorten(value)}.")
    return name, int(step), number


def _words(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"more than {csv.field_size_limit():,} letters in a cell"
    return "quotes that do not fit" if "NUL" not in str(error) else "a null character"
