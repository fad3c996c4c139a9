"""How far a long piece of work has come: a bar on a terminal, a line now and then elsewhere.

It is never why the work fails or slows down: a call mostly adds two numbers, rich is imported once
there is something to show, and a stream that cannot be written to ends the reports, not the work.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from runner.system.formatting import duration
from runner.system.text import elide

if TYPE_CHECKING:
    from rich.progress import BarColumn, Progress

# Seconds before the first report, and between two of them; shorter work shows no bar.
_BAR_AFTER_S, _BAR_EVERY_S = 0.5, 0.1
_LINE_EVERY_S = 10.0
# Before so much is done, or so long has passed, the pace is that of the start, which says little.
_FOUNDED_SHARE, _FOUNDED_S = 0.02, 60.0
# The first seconds say nothing at all.
_STARTING_S = 3.0
_LONGEST_NAME, _LONGEST_BAR = 40, 30


class ProgressBar:
    """Counts work done, and shows on stderr from time to time how much there is left.

    Examples
    --------
    >>> bar = ProgressBar(4000, "tutorial")
    >>> for _ in range(40):
    ...     bar.advance(100, loss=0.12)
    >>> bar.close()
    """

    _shown: BarColumn

    def __init__(self, total: float, description: str, *, unit: str = "steps") -> None:
        self._stream: TextIO | None = sys.stderr
        self._total = total
        self._description = elide(description, _LONGEST_NAME)
        self._unit = unit
        self._done = 0.0
        self._loss: float | None = None
        self._longest = 0
        self._ends: Counter[str] = Counter()
        self._is_bar = _is_terminal(self._stream)
        self._bar: Progress | None = None
        first_s = _BAR_AFTER_S if self._is_bar else _LINE_EVERY_S
        self._every_s = _BAR_EVERY_S if self._is_bar else _LINE_EVERY_S
        self._started = time.monotonic()
        self._due = math.inf if self._stream is None else self._started + first_s

    def advance(self, n: float = 1, *, loss: float | None = None) -> None:
        """Report that `n` more are done, fractions too, and the last loss where there is one."""
        self._done += n
        if loss is not None:
            self._loss = loss
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._every_s
        text = self.text(now - self._started)
        try:
            if self._is_bar:
                self._draw(text)
            else:
                print(f"{self._description}: {text}", file=self._stream, flush=True)
        except (OSError, ValueError):  # the terminal or the stream was closed
            self._due = math.inf

    def count(self, kind: str) -> None:
        """Count one more of a kind that a person wants to know of: ``failed``."""
        self._ends[kind] += 1

    def text(self, elapsed_s: float) -> str:
        """Say how much is done, how fast, how long the rest takes at this pace, and the loss.

        How long is left out while the pace is that of the start.
        """
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        done = math.floor(self._done + 1e-6)  # sums of fractions may be a little too small
        parts = [f"{math.floor(100 * share)} %", f"{done:,} of {self._total:,} {self._unit}"]
        if 0.0 < share < 1.0 and elapsed_s > 0.0:
            parts.append(f"{_rate(self._done / elapsed_s)} {self._unit}/s")
            if elapsed_s > _STARTING_S and (share > _FOUNDED_SHARE or elapsed_s > _FOUNDED_S):
                parts.append(f"{duration(elapsed_s * (1.0 - share) / share, ahead=True)} left")
        if self._loss is not None:
            parts.append(f"loss {self._loss:.4g}")
        parts += [f"{n:,} {kind}" for kind, n in self._ends.items()]
        return ", ".join(parts)

    def close(self) -> None:
        """Take the bar away."""
        self._due = math.inf
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.stop()

    def _draw(self, text: str) -> None:
        if self._bar is None:
            self._bar = self._make_bar(text)
            self._bar.start()
            # rich hides the cursor, and a kill would leave it hidden.
            self._bar.console.show_cursor(True)
        # One line, however narrow the terminal: the bar gives way first, and then the name. Texts
        # of other lengths leave the bar as it is: it has room for the longest so far.
        self._longest = max(self._longest, len(text))
        left = self._bar.console.width - self._longest - 2
        self._shown.bar_width = max(0, min(_LONGEST_BAR, left - len(self._description)))
        name = elide(self._description, max(8, left - self._shown.bar_width))
        self._bar.update(self._bar.task_ids[0], completed=self._done, text=text, description=name)
        self._bar.refresh()

    def _make_bar(self, text: str) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._shown = BarColumn()
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            self._shown,
            TextColumn("{task.fields[text]}", markup=False),
            console=Console(file=self._stream),
            # Drawn by calls of `advance`: a thread would compete with the work.
            auto_refresh=False,
            transient=True,
            # Results on the standard output are not the bar's to redirect.
            redirect_stdout=False,
        )
        bar.add_task(self._description, total=self._total, completed=int(self._done), text=text)
        return bar


def _rate(per_s: float) -> str:
    """Write a rate with three digits that count.

    Examples
    --------
    >>> _rate(12345.6), _rate(0.012345)
    ('12,346', '0.0123')
    """
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def _is_terminal(stream: TextIO | None) -> bool:
    if stream is None or stream.closed or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()
