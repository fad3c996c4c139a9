"""How far a long piece of work has come: a bar on a terminal, a line now and then elsewhere.

It must not know what the work is, and must never be why it fails or slows down: a call mostly
adds two numbers, rich is imported only once there is something to show, and a stream that
cannot be written to ends the reports, not the work.
"""

from __future__ import annotations

import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TextIO

from runner.system.formatting import duration
from runner.system.text import elide

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Seconds before the first report, and between two of them. What is done sooner needs none.
_BAR_AFTER_S, _BAR_EVERY_S = 0.5, 0.1
_LINE_EVERY_S = 10.0
_LONGEST_NAME = 40


class Advance(Protocol):
    """What the work calls as it goes."""

    def __call__(self, n: float = 1, *, loss: float | None = None) -> None:
        """Report that `n` more are done, half ones too, and the last loss where there is one."""


@contextmanager
def progress(
    total_steps: int, description: str, *, unit: str = "steps", file: TextIO | None = None
) -> Iterator[Advance]:
    """Show how far a piece of work has come.

    Parameters
    ----------
    total_steps : int
        How many steps it takes at most.
    description : str
        What it is, for instance the name of the run.
    unit : str
        What is counted.
    file : text file, optional
        By default the standard error stream.

    Yields
    ------
    callable
        ``advance(n, loss=None)``, as often as one likes.

    Examples
    --------
    >>> with progress(4000, "tutorial") as advance:
    ...     for _ in range(40):
    ...         advance(100, loss=0.12)
    """
    stream = sys.stderr if file is None else file
    kind = _Bar if _is_terminal(stream) else _Lines
    report = kind(stream, total_steps, elide(description, _LONGEST_NAME), unit)
    try:
        yield report.advance
    finally:
        report.close()


def _is_terminal(stream: TextIO | None) -> bool:
    if stream is None or stream.closed or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


class _Report(ABC):
    """Counts steps, and shows the count when it is time to."""

    first_s: float
    every_s: float

    def __init__(self, stream: TextIO | None, total: int, description: str, unit: str) -> None:
        self.stream = stream
        self.total = total
        self.description = description
        self.unit = unit
        self.done = 0.0
        self.loss: float | None = None
        self.started = time.monotonic()
        self.due = math.inf if stream is None else self.started + self.first_s

    def advance(self, n: float = 1, *, loss: float | None = None) -> None:
        """Count; see `Advance`."""
        self.done += n
        if loss is not None:
            self.loss = loss
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + self.every_s
        try:
            self.show(self.told(now))
        except (OSError, ValueError):  # the terminal has gone, or the stream was closed
            self.due = math.inf

    def told(self, now: float) -> str:
        """Say how much is done, how long the rest takes at the pace so far, and the loss."""
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        done = math.floor(self.done + 1e-6)  # what fractions add up to
        parts = [f"{math.floor(100 * share)} %", f"{done:,} of {self.total:,} {self.unit}"]
        if 0.0 < share < 1.0:
            left = (now - self.started) * (1.0 - share) / share
            parts.append(f"{duration(left, ahead=True)} left")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        return ", ".join(parts)

    @abstractmethod
    def show(self, told: str) -> None:
        """Write it where the person looks."""

    @abstractmethod
    def close(self) -> None:
        """Leave the stream as it was."""


class _Lines(_Report):
    first_s = every_s = _LINE_EVERY_S

    def show(self, told: str) -> None:
        print(f"{self.description}: {told}", file=self.stream, flush=True)

    def close(self) -> None:
        """Leave the lines where they are: there is no bar to take away."""


class _Bar(_Report):
    first_s, every_s = _BAR_AFTER_S, _BAR_EVERY_S

    _bar: Progress | None = None
    _task: TaskID

    def show(self, told: str) -> None:
        if self._bar is None:
            self._bar = self._make_bar(told)
            self._bar.start()
            # rich hides the cursor, and whatever kills the process now would leave it so.
            self._bar.console.show_cursor(True)
        self._bar.update(self._task, completed=self.done, told=told)
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.stop()

    def _make_bar(self, told: str) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[told]}", markup=False),
            console=Console(file=self.stream),
            # Drawn by the work itself as it goes: a thread would take turns with it.
            auto_refresh=False,
            transient=True,
            # The results on the standard output are no part of the bar's stream.
            redirect_stdout=False,
        )
        self._task = bar.add_task(
            self.description, total=self.total, completed=int(self.done), told=told
        )
        return bar
