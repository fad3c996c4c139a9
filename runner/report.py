"""What a person reads when a command is done: results, failures, and where to look further.

It must not know where results come from: it sees outcomes. rich is imported when it prints.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from runner.text import elide, printable
from softnet import higher_is_better

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Status = Literal["FINISHED", "FAILED", "KILLED"]

# Of more runs than fit on a screen, the best ones are shown.
_MANY, _SHOWN = 40, 20
_LONGEST_NAME, _LONGEST_VALUE = 60, 32
# Beside the metric that ranks.
_FURTHER_METRICS = ("val/loss", "val/accuracy", "test/loss", "test/accuracy")
# A file has no width: whoever reads it scrolls, or cuts columns.
_NO_LIMIT = 100_000


@dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Parameters
    ----------
    name : str
        What the store shows it as.
    run_id : str
        Its id in the store.
    status : "FINISHED", "FAILED" or "KILLED"
    varied : mapping of str to object
        The settings that the command gave, by dotted key.
    metrics : mapping of str to float
        Final values, such as ``val/loss``.
    failure : str or None
        Why it did not finish.
    duration_s : float
        Seconds from its start to its end.
    n_steps : int or None
        Updates that it took.
    """

    name: str
    run_id: str
    status: Status
    varied: Mapping[str, object]
    metrics: Mapping[str, float]
    failure: str | None
    duration_s: float
    n_steps: int | None = None


def ranked(outcomes: Sequence[Outcome], metric: str) -> list[Outcome]:
    """Sort outcomes, the best first; those without the metric, or with NaN, come last."""
    sign = -1.0 if higher_is_better(metric) else 1.0

    def place(outcome: Outcome) -> tuple[bool, float]:
        value = outcome.metrics.get(metric, math.nan)
        return (True, 0.0) if math.isnan(value) else (False, sign * value)

    return sorted(outcomes, key=place)


def print_outcomes(
    outcomes: Sequence[Outcome], metric: str, where: str, file: TextIO | None = None
) -> None:
    """Print what came out of a command: one run in full, several as a table, the best first.

    Parameters
    ----------
    outcomes : sequence of Outcome
    metric : str
        By which runs are ranked.
    where : str
        How to see the runs: a link to open, or a command.
    file : text file, optional
        By default the standard output. Colours and cuts to the width are for terminals alone.

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    if not outcomes:
        return
    target = sys.stdout if file is None else file
    console = _console(target)
    with console.capture() as captured:
        if len(outcomes) == 1:
            _print_one(console, outcomes[0])
        else:
            _print_many(console, outcomes, metric)
        _print_way_on(console, where, "it" if len(outcomes) == 1 else "them")
    target.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    target.flush()


def _console(target: TextIO) -> Console:
    from rich.console import Console

    console = Console(
        file=target,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )
    if not console.is_terminal:
        console.width = _NO_LIMIT
    return console


def _print_one(console: Console, outcome: Outcome) -> None:
    took = f"{outcome.duration_s:.1f} s"
    if outcome.n_steps is not None:
        took = f"{outcome.n_steps:,} steps, {took}"
    name = elide(outcome.name, _LONGEST_NAME)
    _line(console, [(f"{name}  ", "bold"), _status(outcome), (took, "")])
    if outcome.failure:
        _line(console, [(f"  {_one_line(outcome.failure)}", "red")])

    by_split: dict[str, dict[str, float]] = {}
    others: dict[str, float] = {}
    for name, value in outcome.metrics.items():
        split, _, metric = name.partition("/")
        if split in ("train", "val", "test"):
            by_split.setdefault(split, {})[metric] = value
        else:
            others[name] = value
    if by_split:
        metrics = list(dict.fromkeys(metric for values in by_split.values() for metric in values))
        splits = [split for split in ("train", "val", "test") if split in by_split]
        columns = [_Column("", splits, "left")]
        for metric in metrics:
            cells = [_number(metric, by_split[split].get(metric)) for split in splits]
            columns.append(_Column(metric, cells, "right"))
        console.print(_table(columns))
    if others:
        told = ", ".join(f"{name} {_number(name, value)}" for name, value in others.items())
        _line(console, [(printable(told), "")])
    if outcome.run_id:
        _line(console, [(f"run {printable(outcome.run_id)}", "")])


def _print_many(console: Console, outcomes: Sequence[Outcome], metric: str) -> None:
    finished = ranked([o for o in outcomes if o.status == "FINISHED"], metric)
    shown = finished if len(finished) <= _MANY else finished[:_SHOWN]
    order = "largest first" if higher_is_better(metric) else "smallest first"
    if finished:
        _line(console, [(f"{_runs(len(finished))} by {metric}, {order}", "bold")])
        _print_fitting(console, *_columns(shown, outcomes, metric))
        if len(shown) < len(finished):
            _line(console, [(f"and {len(finished) - len(shown):,} more", "dim")])
    unfinished = [outcome for outcome in outcomes if outcome.status != "FINISHED"]
    if unfinished:
        _line(console, [(f"{len(unfinished):,} of {_runs(len(outcomes))} did not finish", "bold")])
    for outcome in unfinished:
        reason = _one_line(outcome.failure or "no reason was given")
        name = elide(outcome.name, _LONGEST_NAME)
        _line(console, [("  ", ""), _status(outcome), (f"{name}: {reason}", "")])


def _print_way_on(console: Console, where: str, them: str) -> None:
    _line(console, [(f"Look at {them}: ", ""), (printable(where), "cyan")])


@dataclass(frozen=True)
class _Column:
    header: str
    cells: Sequence[str]
    justify: Literal["left", "right"]


def _columns(
    shown: Sequence[Outcome], outcomes: Sequence[Outcome], metric: str
) -> tuple[list[_Column], list[_Column]]:
    """Return the columns that a table of runs must have, and those that it may, best first."""

    def column(
        header: str, cell: Callable[[Outcome], str], justify: Literal["left", "right"] = "right"
    ) -> _Column:
        return _Column(header, [cell(outcome) for outcome in shown], justify)

    def number(name: str) -> _Column:
        return column(name, lambda outcome: _number(name, outcome.metrics.get(name)))

    def setting(header: str, key: str) -> _Column:
        return column(header, lambda outcome: _setting(outcome.varied.get(key, "")), "left")

    keys = dict.fromkeys(key for outcome in outcomes for key in outcome.varied)
    varied = [key for key in keys if len({repr(o.varied.get(key)) for o in outcomes}) > 1]
    ends = [key.rpartition(".")[2] for key in varied]
    needed = [_Column("", [str(place) for place in range(1, len(shown) + 1)], "right")]
    for key, end in zip(varied, ends, strict=True):
        header = elide(end if ends.count(end) == 1 else key, _LONGEST_VALUE)
        needed.append(setting(header, key))
    if not varied:
        needed.append(column("name", lambda o: elide(o.name, _LONGEST_NAME), "left"))
    needed.append(number(metric))
    recorded = {name for outcome in shown for name in outcome.metrics}
    further = [number(m) for m in _FURTHER_METRICS if m in recorded and m != metric]
    further.append(column("seconds", lambda o: f"{o.duration_s:.1f}"))
    further.append(column("run", lambda o: printable(o.run_id), "left"))
    return needed, further


def _print_fitting(console: Console, needed: Sequence[_Column], further: Sequence[_Column]) -> None:
    """Print as many columns as the terminal is wide enough for; the needed ones wrap, uncut."""
    from rich.measure import Measurement

    unlimited = console.options.update(max_width=_NO_LIMIT)
    for n_further in range(len(further), -1, -1):
        table = _table([*needed, *further[:n_further]])
        width = Measurement.get(console, unlimited, table).maximum
        if width <= console.width:
            break
    console.width = max(width, console.width)
    console.print(table)


def _table(columns: Sequence[_Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, header_style="bold", padding=(0, 2), pad_edge=False, collapse_padding=True
    )
    for column in columns:
        table.add_column(
            Text(column.header), justify=column.justify, no_wrap=True, overflow="ellipsis"
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _line(console: Console, parts: Sequence[tuple[str, str]]) -> None:
    """Print a line that the terminal may wrap, but that is never cut: it may be copied."""
    from rich.text import Text

    console.print(Text.assemble(*parts), soft_wrap=True)


def _status(outcome: Outcome) -> tuple[str, str]:
    color = {"FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}[outcome.status]
    return (f"{outcome.status}  ", color)


def _runs(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    end = metric.rpartition("/")[2]
    if end == "accuracy":
        return f"{value:.4f}"
    return f"{value:,.0f}" if end == "step" else f"{value:.4g}"


def _setting(value: object) -> str:
    return elide(f"{value:.6g}" if isinstance(value, float) else value, _LONGEST_VALUE)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
