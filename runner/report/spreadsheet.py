"""All outcomes as comma-separated values, for a spreadsheet or a script.

It must not know where the rows go.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import TextIO

from runner.outcome import Outcome
from runner.report.failures import on_one_line
from runner.text import printable

_AROUND = ("name", "status"), ("failure", "seconds", "run_id")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def write_csv(outcomes: Sequence[Outcome], target: TextIO) -> None:
    """Write one row for each job: its name, status, settings, final metrics and end.

    Numbers have all their digits. A text that a spreadsheet would take for a formula is preceded by
    an apostrophe, and whatever would act on a terminal is spelled out.

    Parameters
    ----------
    outcomes : sequence of Outcome
    target : text file

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    before, after = _AROUND
    settings = list(dict.fromkeys(key for outcome in outcomes for key in outcome.varied))
    metrics = list(dict.fromkeys(name for outcome in outcomes for name in outcome.metrics))
    # `name` is a setting as well.
    taken = {*before, *after, *metrics}
    headers = [f"{key} (varied)" if key in taken else key for key in settings]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(map(cell, [*before, *headers, *metrics, *after]))
    for outcome in outcomes:
        row = [cell(outcome.name), outcome.status]
        row += [cell(outcome.varied.get(key, "")) for key in settings]
        row += [_number(outcome.metrics.get(name)) for name in metrics]
        row += [cell(on_one_line(outcome.failure or "")), _number(outcome.duration_s)]
        writer.writerow([*row, cell(outcome.run_id)])
    target.flush()


def cell(value: str) -> str:
    """Return a text as a cell that neither a spreadsheet nor a terminal acts on."""
    shown = printable(value)
    harmless = not shown.startswith(("=", "+", "-", "@")) or _NUMBER.fullmatch(shown)
    return shown if harmless else f"'{shown}"


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))
