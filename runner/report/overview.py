"""All sweeps of a store in one table, the newest first.

It must not know where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from runner.report.console import print_line, printing
from runner.report.table import Column, print_table
from runner.system.formatting import duration
from runner.system.text import elide

_LONGEST = 40


@dataclass(frozen=True)
class SweepLine:
    """What there is to tell of one sweep among others.

    Parameters
    ----------
    name, experiment : str
        What it is called, and the MLflow experiment that it is in.
    state : str
        Such as ``complete`` or ``interrupted``.
    n_finished, n_failed, n_jobs : int
        Jobs that ended well, that failed, and all of them.
    started_s : float
        When it was begun, in seconds since 1970.
    duration_s : float
        Seconds that were spent on it.
    run_id : str
        Of its parent run.
    """

    name: str
    experiment: str
    state: str
    n_finished: int
    n_failed: int
    n_jobs: int
    started_s: float
    duration_s: float
    run_id: str


def print_overview(lines: Sequence[SweepLine], file: TextIO | None = None) -> None:
    """Print a line for each sweep.

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    with printing(file) as console:
        if not lines:
            print_line(console, ("There are no sweeps yet. runner --multirun makes one.", ""))
            return
        needed = [
            Column("sweep", [elide(line.name, _LONGEST) for line in lines], "left"),
            Column("state", [line.state for line in lines], "left"),
            Column("done", [f"{line.n_finished:,}" for line in lines], "right"),
            Column("failed", [f"{line.n_failed:,}" for line in lines], "right"),
            Column("jobs", [f"{line.n_jobs:,}" for line in lines], "right"),
        ]
        further = [
            # Before what a narrow terminal has no room for: it is what runner rerun takes.
            Column("run", [line.run_id for line in lines], "left"),
            Column("begun", [_moment(line.started_s) for line in lines], "left"),
            Column("took", [duration(line.duration_s) for line in lines], "right"),
            Column("experiment", [elide(line.experiment, _LONGEST) for line in lines], "left"),
        ]
        print_table(console, needed, further)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
