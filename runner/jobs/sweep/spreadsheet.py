"""All outcomes as a table, and as comma-separated values for a spreadsheet or a script."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from runner.system.text import on_one_line, printable
from runner.training.outcome import Outcome

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Columns:
    """All outcomes as columns of equal length, by their headers, in the order that they have.

    `before` are name and status. Settings are what was varied, as it was written, and None where a
    job did not say it. `after` are final metrics, the failure, the duration and the run's id.
    """

    before: Mapping[str, list[str]]
    settings: Mapping[str, list[str | None]]
    after: Mapping[str, list[float | str | None]]


def columns(outcomes: Sequence[Outcome]) -> Columns:
    """Lay outcomes out as a table, whatever it is written as."""
    keys = dict.fromkeys(key for outcome in outcomes for key in outcome.varied)
    metrics = dict.fromkeys(name for outcome in outcomes for name in outcome.metrics)
    before = {
        "name": [outcome.name for outcome in outcomes],
        "status": [str(outcome.status) for outcome in outcomes],
    }
    after: dict[str, list[float | str | None]] = {
        **{name: [outcome.metrics.get(name) for outcome in outcomes] for name in metrics},
        "failure": [outcome.failure for outcome in outcomes],
        "seconds": [outcome.duration_s for outcome in outcomes],
        "run_id": [outcome.run_id for outcome in outcomes],
    }
    settings = {
        # `name` is a setting as well.
        f"{key} (varied)" if key in before or key in after else key: [
            outcome.varied.get(key) for outcome in outcomes
        ]
        for key in keys
    }
    return Columns(before, settings, after)


def write_csv(outcomes: Sequence[Outcome], target: TextIO) -> None:
    """Write one row for each job: its name, status, settings, final metrics and end.

    Numbers have all their digits. A text that a spreadsheet would take for a formula is preceded by
    an apostrophe, and whatever would act on a terminal is spelled out. Raises `OSError` if the file
    cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    table = columns(outcomes)
    reasons = [outcome.failure and on_one_line(outcome.failure) for outcome in outcomes]
    after = {**table.after, "failure": reasons}
    every = [*table.before.items(), *table.settings.items(), *after.items()]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([cell(header) for header, _ in every])
    writer.writerows(
        [cell(value) for value in row] for row in zip(*(cells for _, cells in every), strict=True)
    )
    target.flush()


def cell(value: float | str | None) -> str:
    """Return a value as a cell that neither a spreadsheet nor a terminal acts on."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(float(value))
    shown = printable(value)
    # Spreadsheets skip blanks, and take letters of full width for those of half.
    start = unicodedata.normalize("NFKC", value).lstrip()
    harmless = not start.startswith(("=", "+", "-", "@")) or is_number(shown)
    return shown if harmless else f"'{shown}"


def is_number(text: str) -> bool:
    """Tell whether a text is a number as people write it: not ``1_000``, not ``nan``."""
    return _NUMBER.fullmatch(text) is not None
