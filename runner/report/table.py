"""Lines and tables for a terminal, a pipe or a file.

All text is made safe to show here, in lines and in cells. Colours and cuts to the
width are for terminals alone. Where one is narrow, a line breaks between words, and a table leaves
out columns, and says which, before it cuts a number.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal, TypeVar

from runner.system.errors import StoreError
from runner.system.formatting import measured
from runner.system.text import elide, elide_apart, printable, without_passwords

if TYPE_CHECKING:
    from runner.training.statistics import Configuration

LONGEST_NAME, _LONGEST_ID = 60, 32
_LONGEST_VALUE = 32
_GAP, _NARROWEST = 2, 10
# How a terminal is told of each style.
_STYLES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
# A file has no width: its reader can scroll.
_NO_LIMIT = 100_000
# Of more than 40 rows the best 20 are shown.
_MANY, _SHOWN = 40, 20

T = TypeVar("T")


@dataclass(frozen=True)
class TableColumn:
    """A header and the cells below it."""

    header: str
    cells: Sequence[str]
    justify: Literal["left", "right"] = "left"
    limit: int = LONGEST_NAME

    @cached_property
    def width(self) -> int:
        """Width on a terminal, where some letters are two wide."""
        return max(map(_width, self.texts))

    @cached_property
    def texts(self) -> list[str]:
        """Header and cells, as they are printed: cells that differ do so when they are cut."""
        return [elide(self.header, self.limit), *elide_apart(self.cells, self.limit)]

    def lines(self) -> list[str]:
        """Return header and cells, padded to the width."""
        lines = []
        for text in self.texts:
            space = " " * (self.width - _width(text))
            lines.append(text + space if self.justify == "left" else space + text)
        return lines


def columns_of(
    headers: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> list[TableColumn]:
    """Make columns of rows; those whose header is among `right` are justified there."""
    cells = list(zip(*rows, strict=True)) or [()] * len(headers)
    return [
        TableColumn(header, column, "right" if header in right else "left")
        for header, column in zip(headers, cells, strict=True)
    ]


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Return as many digits of each id as tell them apart, at least 8: commands take beginnings.

    Examples
    --------
    >>> list(short_ids(["0123456789abcdef" * 2, "01234567ffff0000" * 2]).values())
    ['012345678', '01234567f']
    """
    n = 8
    while n < _LONGEST_ID and len({run_id[:n] for run_id in ids}) < len(set(ids)):
        n += 1
    # Text of another length is no id, and shown as it is.
    return {run_id: run_id[:n] if len(run_id) == _LONGEST_ID else run_id for run_id in ids}


def _width(text: str) -> int:
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


class Printer:
    """Collects lines and tables; see `printing`."""

    def __init__(self, width: int, *, has_colours: bool) -> None:
        self._width, self._has_colours = width, has_colours
        self.lines: list[str] = []

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Print a line of texts, each of them plain or with a style.

        On a terminal it breaks between words; nothing of it is cut.
        """
        self._add(parts, self._width)

    def command(self, *parts: str | tuple[str, str]) -> None:
        """Print a line that is copied, and so has no breaks of ours."""
        self._add(parts, _NO_LIMIT)

    def _add(self, parts: Sequence[str | tuple[str, str]], width: int) -> None:
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        texts = [printable(text) for text, _ in pairs]
        plain = "".join(texts)
        starts = [0, *accumulate(map(len, texts))]
        for first, last in pairwise([0, *_breaks(plain, width), len(plain)]):
            end, line = first + len(plain[first:last].rstrip()), ""
            for start, text, (_, style) in zip(starts, texts, pairs, strict=False):
                piece = text[max(first - start, 0) : max(end - start, 0)]
                is_styled = self._has_colours and style and piece
                line += f"\x1b[{_STYLES[style]}m{piece}\x1b[0m" if is_styled else piece
            self.lines.append(line)

    def link(self, link: str, what: str) -> None:
        """Print how to look at `what`: something to open, or a command."""
        self.command(f"Look at {what}: ", (link, "cyan"))

    def table(self, needed: Sequence[TableColumn], further: Sequence[TableColumn] = ()) -> None:
        """Print the needed columns, and as many of the further ones as the terminal has room for.

        Where it is too narrow even for the needed ones, texts are cut and then columns left out.
        Columns left out are named.
        """
        kept = [*needed]
        while not self._fit(columns := self._cut(kept)) and len(kept) > 2:
            texts = [n for n, column in enumerate(kept) if n > 1 and column.justify == "left"]
            del kept[texts[-1] if texts else -1]
        columns = [*columns, *further][: max(len(kept), self._n_fitting([*columns, *further]))]
        header, *rows = (
            (" " * _GAP).join(cells) for cells in zip(*map(TableColumn.lines, columns), strict=True)
        )
        self.line((header, "bold"))
        for row in rows:
            self.line(row)
        shown = [column.header for column in columns]
        every = [column.header for column in (*needed, *further)]
        if left_out := [header for header in every if header not in shown]:
            self.line((f"A wider terminal also shows {', '.join(left_out)}.", "dim"))

    def tables(self, first: TableColumn, others: Sequence[TableColumn]) -> None:
        """Print all columns beside the first: below each other those that do not fit."""
        while others:
            n = max(1, self._n_fitting([first, *others]) - 1)
            self.table([first, *others[:n]])
            others = others[n:]

    def _cut(self, columns: Sequence[TableColumn]) -> list[TableColumn]:
        """Cut texts as little as lets the columns fit, or as far as may be."""
        for limit in range(LONGEST_NAME, _NARROWEST - 1, -1):
            cut = [
                replace(c, limit=min(c.limit, limit)) if c.justify == "left" else c for c in columns
            ]
            if self._fit(cut):
                break
        return cut

    def _fit(self, columns: Sequence[TableColumn]) -> bool:
        return self._n_fitting(columns) == len(columns)

    def _n_fitting(self, columns: Sequence[TableColumn]) -> int:
        """Return how many of some columns fit beside each other."""
        ends = accumulate(column.width + _GAP for column in columns)
        return sum(end - _GAP <= self._width for end in ends)

    def ranking(
        self,
        what: str,
        metric: str,
        rows: Sequence[T],
        columns: Callable[[Sequence[T]], tuple[list[TableColumn], list[TableColumn]]],
        top: int | None = None,
    ) -> None:
        """Print a ranking: a heading, its first rows, how many more there are.

        `what` names it in the plural, `rows` have the best first, and `columns` makes the needed
        and the further columns of the rows shown: by default all of a few, 20 of more than 40.
        """
        from softnet import higher_is_better

        if top is None:
            top = len(rows) if len(rows) <= _MANY else _SHOWN
        shown = rows[:top]
        order = "largest first" if higher_is_better(metric) else "smallest first"
        self.line((f"{what} by {metric}, {order}", "bold"))
        needed, further = columns(shown)
        ranks = TableColumn("", [f"{rank}" for rank in range(1, len(shown) + 1)], "right")
        self.table([ranks, *needed], further)
        if len(shown) < len(rows):
            self.line((f"and {len(rows) - len(shown):,} more", "dim"))


def _breaks(text: str, width: int) -> list[int]:
    """Return where a text is broken, between words, so that lines have a width if words do."""
    breaks, start = [], 0
    for word in re.finditer(r"\S+", text):
        if word.start() > start and _width(text[start : word.end()]) > width:
            start = word.start()
            breaks.append(start)
    return breaks


@contextmanager
def printing() -> Iterator[Printer]:
    """Collect lines, and write them all to the standard output at the end.

    Raises `OSError` if that cannot be written, for instance BrokenPipeError where its reader has
    gone.
    """
    is_terminal = sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
    width = shutil.get_terminal_size().columns if is_terminal else _NO_LIMIT
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    out = Printer(width, has_colours=is_terminal and not is_plain)
    yield out
    sys.stdout.write("".join(f"{line}\n" for line in out.lines))
    sys.stdout.flush()


def say(text: str) -> None:
    """Print lines for a person; a stream that cannot be written to is no reason to stop.

    On a terminal they break between words, but for those that begin with a blank: commands.
    """
    with suppress(OSError, ValueError, AttributeError, StoreError):
        limit = shutil.get_terminal_size().columns if sys.stderr.isatty() else _NO_LIMIT
        for line in text.splitlines():
            shown = printable(without_passwords(line))
            if not shown.startswith(" "):
                shown = textwrap.fill(shown, limit, break_long_words=False, break_on_hyphens=False)
            print(shown, file=sys.stderr, flush=True)  # noqa: T201  (it is for people)


def metric_columns(shown: Sequence[Configuration], metrics: Sequence[str]) -> list[TableColumn]:
    """Make a column of means for each metric, with how many seeds or splits the first is over."""
    columns = [TableColumn(metric, mean_cells(shown, metric), "right") for metric in metrics]
    summaries = [configuration.summary(metrics[0]) for configuration in shown]
    n = [f"{summary.n if summary else 0:,}" for summary in summaries]
    return [columns[0], TableColumn("n", n, "right"), *columns[1:]]


def mean_cells(shown: Sequence[Configuration], metric: str) -> list[str]:
    """Write the mean of each configuration, ``±`` half the width of its interval, aligned."""
    summaries = [configuration.summary(metric) for configuration in shown]
    parts = [
        ("", "") if summary is None else measured(metric, summary.mean, summary.half_width)
        for summary in summaries
    ]
    widest = max((len(half_width) for _, half_width in parts), default=0)
    return [
        mean + (f" ± {half_width:<{widest}}" if half_width else " " * (widest and widest + 3))
        for mean, half_width in parts
    ]


def setting_columns(
    shown: Sequence[Mapping[str, str]], names: Mapping[str, str]
) -> list[TableColumn]:
    """Make a column of each named setting."""
    return [
        TableColumn(name, [one.get(key, "") for one in shown], limit=_LONGEST_VALUE)
        for key, name in names.items()
    ]
