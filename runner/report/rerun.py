"""What a rerun came to: the verdict, where results part, what differs between the machines.

It must not know how anything was run: it sees comparisons and outcomes. All text from a record is
made printable here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.report.console import print_line, print_way_on, printing
from runner.report.table import Column, print_table
from runner.report.verdict import print_verdict, text_column
from runner.system.formatting import duration, number
from runner.system.text import elide

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 60
_MOST_LINES = 20
_IN_WORDS = {
    Verdict.IDENTICAL: "identical",
    Verdict.CLOSE: "close",
    Verdict.DIFFERENT: "different",
    Verdict.CANNOT_COMPARE: "not comparable",
}


@dataclass(frozen=True)
class RerunLine:
    """What came of one job.

    Parameters
    ----------
    name, original_id : str
        The original.
    run_id : str
        Of the rerun; empty where it was not recorded.
    comparison : Comparison or None
        None where settings were changed, or where the rerun broke off.
    failure : str or None
        Why the rerun did not finish.
    settings : sequence of (str, str, str)
        Settings that were changed: the key, then and now.
    metrics : sequence of (str, float or None, float or None)
        Final metrics of a run whose settings were changed: name, then and now.
    """

    name: str
    original_id: str
    run_id: str
    comparison: Comparison | None
    failure: str | None
    settings: Sequence[tuple[str, str, str]] = ()
    metrics: Sequence[tuple[str, float | None, float | None]] = ()


@dataclass(frozen=True)
class RerunReport:
    """All that is told of a rerun.

    Parameters
    ----------
    title : str
        The run or the sweep.
    lines : sequence of RerunLine
        Its jobs.
    is_single : bool
        Whether it is a run of its own.
    differences : sequence of EnvironmentDifference or None
        Between where the originals ran and here; None where nothing was run.
    n_in_all : int
        Jobs that there are.
    n_missing : int
        Jobs that an interrupt left no time for.
    is_sample : bool
        Whether only some of them were taken.
    admitted : float or None
        Relative differences that are admitted.
    ids : (str, str)
        Of the rerun, and of what was repeated.
    notes : sequence of str
        Lines to add.
    where : str or None
        How to see the runs; None where nothing was recorded.
    duration_s : float
        Seconds that it took.
    """

    title: str
    lines: Sequence[RerunLine]
    is_single: bool
    differences: Sequence[EnvironmentDifference] | None
    n_in_all: int
    n_missing: int
    is_sample: bool
    admitted: float | None
    ids: tuple[str, str]
    notes: Sequence[str]
    where: str | None
    duration_s: float


def print_rerun(report: RerunReport, file: TextIO | None = None) -> None:
    """Print what came of a rerun.

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    with printing(file) as console:
        if report.is_single:
            _print_single(console, report.lines[0], report.admitted)
        else:
            _print_several(console, report)
        if report.differences is not None:
            _print_environment(console, report.differences)
        print_line(console, (f"took {duration(report.duration_s)}", ""))
        for note in report.notes:
            print_line(console, (note, ""))
        if report.where:
            ids = (elide(each, _LONGEST) for each in report.ids)
            print_line(console, ("run {}, a rerun of {}".format(*ids), ""))
            print_way_on(console, report.where, "it" if report.is_single else "them")


def _print_single(console: Console, line: RerunLine, admitted: float | None) -> None:
    name = elide(line.name, _LONGEST)
    if line.comparison is not None:
        print_verdict(console, name, line.comparison, admitted)
        return
    print_line(console, (f"{name}  ", "bold"), ("with other settings", ""))
    if line.failure:
        print_line(console, (f"  FAILED: {elide(line.failure, 200)}", "red"))
    _print_changes(console, line)


def _print_changes(console: Console, line: RerunLine) -> None:
    """Print changed settings and results side by side."""
    if line.settings:
        cells = zip(*line.settings, strict=True)
        headers = ("setting", "original", "rerun")
        print_table(console, [*map(text_column, headers, cells)])
    if line.metrics:
        print_table(
            console,
            [
                text_column("metric", [name for name, _, _ in line.metrics]),
                _numbers("original", [(name, then) for name, then, _ in line.metrics]),
                _numbers("rerun", [(name, now) for name, _, now in line.metrics]),
                Column("difference", [_signed(*values) for values in line.metrics], "right"),
            ],
        )


def _signed(name: str, then: float | None, now: float | None) -> str:
    if then is None or now is None:
        return ""
    text = number(name, now - then)
    return text if text.startswith("-") else f"+{text}"


def _print_several(console: Console, report: RerunReport) -> None:
    of_all = f", a sample of {report.n_in_all:,}" if report.is_sample else ""
    print_line(console, (elide(report.title, _LONGEST), "bold"), (of_all, ""))
    compared = [line for line in report.lines if line.comparison is not None]
    told = [line for line in compared if line.comparison.verdict is not Verdict.IDENTICAL]  # type: ignore[union-attr]  # chosen so
    failed = [line for line in report.lines if line.comparison is None and line.failure]
    for line in failed[:_MOST_LINES]:
        print_line(console, (f"{elide(line.name, _LONGEST)}  FAILED: ", "red"),
                   (elide(line.failure, 200), ""))  # fmt: skip
    for line in told[:_MOST_LINES]:
        if line.comparison is not None:
            print_verdict(console, elide(line.name, _LONGEST), line.comparison, report.admitted)
    if len(told) > _MOST_LINES:
        print_line(console, (f"... and {len(told) - _MOST_LINES:,} more", ""))
    changed = [line for line in report.lines if line.comparison is None and line.metrics]
    for line in changed[:_MOST_LINES]:
        print_line(console, (elide(line.name, _LONGEST), "bold"))
        _print_changes(console, line)
    if len(changed) > _MOST_LINES:
        print_line(console, (f"... and {len(changed) - _MOST_LINES:,} more", ""))
    if compared:
        print_line(console, (_summary(report.lines, report.n_missing), "bold"))


def _summary(lines: Sequence[RerunLine], n_missing: int) -> str:
    """Sum up the verdicts: ``1,000 of 1,000 identical``."""
    verdicts = [line.comparison.verdict for line in lines if line.comparison is not None]
    told = [f"{verdicts.count(Verdict.IDENTICAL):,} of {len(lines) + n_missing:,} identical"]
    told += [
        f"{verdicts.count(verdict):,} {words}"
        for verdict, words in _IN_WORDS.items()
        if verdict is not Verdict.IDENTICAL and verdict in verdicts
    ]
    if len(verdicts) < len(lines):
        told.append(f"{len(lines) - len(verdicts):,} broke off")
    if n_missing:
        told.append(f"{n_missing:,} not run")
    return ", ".join(told)


def _print_environment(console: Console, differences: Sequence[EnvironmentDifference]) -> None:
    if not differences:
        print_line(console, ("Nothing differs between where it ran and here.", ""))
        return
    ordered = sorted(differences, key=lambda each: not each.decides)
    print_table(
        console,
        [
            text_column("what differs", [each.what for each in ordered]),
            text_column("original", [each.original for each in ordered]),
            text_column("here", [each.here for each in ordered]),
            text_column("decides bits", ["yes" if each.decides else "no" for each in ordered]),
        ],
    )


def _numbers(header: str, values: Sequence[tuple[str, float | None]]) -> Column:
    return Column(header, [number(name, value) for name, value in values], "right")


def differing_settings(
    then: Mapping[str, str], now: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Return the settings that two flattened configs have otherwise."""
    return [
        (key, then.get(key, "-"), now.get(key, "-"))
        for key in dict.fromkeys([*then, *now])
        if then.get(key) != now.get(key)
    ]
