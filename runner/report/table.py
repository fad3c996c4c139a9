"""Tables that give up columns before they cut a number.

It must not know what its columns mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from runner.report.console import print_line

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A header and the cells below it, all of them fit to be shown."""

    header: str
    cells: Sequence[str]
    justify: Literal["left", "right"]

    @cached_property
    def width(self) -> int:
        """Width in places of a terminal, where some letters take two."""
        return max(map(_width, [self.header, *self.cells]))

    def lines(self) -> list[str]:
        """Return header and cells, filled up to the width."""
        lines = []
        for text in [self.header, *self.cells]:
            space = " " * (self.width - _width(text))
            lines.append(text + space if self.justify == "left" else space + text)
        return lines


def _width(text: str) -> int:
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


def print_table(console: Console, needed: Sequence[Column], further: Sequence[Column] = ()) -> None:
    """Print the needed columns, and of the further ones as many as the terminal has room for.

    Where it has too little even for the needed ones, their lines wrap, uncut. Those that are left
    out are named.
    """
    ends = [*accumulate(column.width + _GAP for column in [*needed, *further])]
    n_fitting = sum(end - _GAP <= console.width for end in ends)
    columns = [*needed, *further][: max(len(needed), n_fitting)]
    header, *rows = (
        (" " * _GAP).join(cells) for cells in zip(*map(Column.lines, columns), strict=True)
    )
    print_line(console, (header, "bold"))
    if rows:
        print_line(console, ("\n".join(rows), ""))
    if left_out := [column.header for column in [*needed, *further][len(columns) :]]:
        print_line(console, (f"A wider terminal also shows {', '.join(left_out)}.", "dim"))
