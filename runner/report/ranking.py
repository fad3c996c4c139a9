"""The best of many: a heading, the first rows of a table, and how many more there are.

It must not know whether a row is one run or a configuration with many seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from runner.report.console import print_line
from runner.report.table import Column, print_table
from softnet import higher_is_better

if TYPE_CHECKING:
    from rich.console import Console

# Of more rows than fit on a screen, the best ones are shown.
_MANY, _SHOWN = 40, 20
# Beside the metric that ranks.
_FURTHER_METRICS = ("val/loss", "val/accuracy", "test/loss", "test/accuracy")

T = TypeVar("T")


def print_ranking(
    console: Console,
    what: str,
    metric: str,
    rows: Sequence[T],
    columns: Callable[[Sequence[T]], tuple[list[Column], list[Column]]],
    top: int | None = None,
) -> None:
    """Print the best of what is ranked.

    Parameters
    ----------
    console : Console
    what : str
        What is ranked, in the plural.
    metric : str
        By which it is ranked.
    rows : sequence
        The best first.
    columns : callable
        Makes, of the rows that are shown, the columns that the table must have, and those that it
        may, best first.
    top : int, optional
        How many rows are shown, 1 or above; by default all of a few, 20 of more than 40.
    """
    if top is None:
        top = len(rows) if len(rows) <= _MANY else _SHOWN
    shown = rows[:top]
    order = "largest first" if higher_is_better(metric) else "smallest first"
    print_line(console, (f"{what} by {metric}, {order}", "bold"))
    needed, further = columns(shown)
    places = Column("", [f"{place}" for place in range(1, len(shown) + 1)], "right")
    print_table(console, [places, *needed], further)
    if len(shown) < len(rows):
        print_line(console, (f"and {len(rows) - len(shown):,} more", "dim"))


def further_metrics(recorded: Iterable[str], metric: str) -> list[str]:
    """Return the metrics worth a column beside the one that ranks."""
    found = {*recorded} - {metric}
    return [name for name in _FURTHER_METRICS if name in found]
