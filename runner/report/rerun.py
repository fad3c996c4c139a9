"""What a rerun came to: each verdict, where results part, what differs between the machines.

All text from a record is made safe to print here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.report.table import LONGEST_NAME, Column, Printer, printing
from runner.system.formatting import count, duration, number
from runner.system.text import elide

# Of a sweep, this many jobs of each kind are printed in full.
_MOST_JOBS = 20
# More units in the last place than this mean nothing to a person.
_COUNTABLE = 1e12
# What can make any difference, however large.
_WITHOUT_BOUND = {"data digest", "split digest", "code"}
_COLOURS = {Verdict.IDENTICAL: "green", Verdict.CLOSE: "yellow"}
_IN_WORDS = {
    Verdict.CLOSE: "close",
    Verdict.DIFFERENT: "different",
    Verdict.CANNOT_COMPARE: "not comparable",
}


@dataclass(frozen=True)
class RerunLine:
    """What came of one job.

    Parameters
    ----------
    name : str
        The original.
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
    comparison: Comparison | None
    failure: str | None
    settings: Sequence[tuple[str, str, str]] = ()
    metrics: Sequence[tuple[str, float | None, float | None]] = ()


@dataclass(frozen=True)
class RerunReport:
    """All that is printed of a rerun.

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
    tolerance : float or None
        Relative differences up to this are admitted.
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
    tolerance: float | None
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
    with printing(file) as out:
        if report.is_single:
            _print_single(out, report.lines[0], report.tolerance)
        else:
            _print_several(out, report)
        if report.differences is not None:
            _print_environment(out, report.differences)
        out.line(f"took {duration(report.duration_s)}")
        for note in report.notes:
            out.line(note)
        if report.where:
            rerun_id, original_id = (elide(run_id, LONGEST_NAME) for run_id in report.ids)
            out.line(f"run {rerun_id}, a rerun of {original_id}")
            out.link(report.where, "it" if report.is_single else "them")


def _print_single(out: Printer, line: RerunLine, tolerance: float | None) -> None:
    if line.comparison is not None:
        _print_verdict(out, line.name, line.comparison, tolerance)
        return
    out.line((f"{elide(line.name, LONGEST_NAME)}  ", "bold"), "with other settings")
    if line.failure:
        out.line((f"  FAILED: {elide(line.failure, 200)}", "red"))
    _print_changes(out, line)


def _print_several(out: Printer, report: RerunReport) -> None:
    sample = f", a sample of {report.n_in_all:,}" if report.is_sample else ""
    out.line((elide(report.title, LONGEST_NAME), "bold"), sample)
    compared = [(line.name, line.comparison) for line in report.lines if line.comparison]
    others = [line for line in report.lines if line.comparison is None]
    for line in [line for line in others if line.failure][:_MOST_JOBS]:
        name = elide(line.name, LONGEST_NAME)
        out.line((f"{name}  FAILED: ", "red"), elide(line.failure, 200))
    not_identical = [(n, c) for n, c in compared if c.verdict is not Verdict.IDENTICAL]
    for name, comparison in not_identical[:_MOST_JOBS]:
        _print_verdict(out, name, comparison, report.tolerance)
    _print_rest(out, not_identical)
    changed = [line for line in others if line.metrics]
    for line in changed[:_MOST_JOBS]:
        out.line((elide(line.name, LONGEST_NAME), "bold"))
        _print_changes(out, line)
    _print_rest(out, changed)
    if compared:
        verdicts = [comparison.verdict for _, comparison in compared]
        out.line((_summary(verdicts, len(others), report.n_missing), "bold"))


def _print_rest(out: Printer, jobs: Sequence[object]) -> None:
    if len(jobs) > _MOST_JOBS:
        out.line(f"... and {len(jobs) - _MOST_JOBS:,} more")


def _summary(verdicts: Sequence[Verdict], n_broken: int, n_missing: int) -> str:
    """Sum up the verdicts: ``1,000 of 1,000 identical``."""
    n_jobs = len(verdicts) + n_broken + n_missing
    parts = [f"{verdicts.count(Verdict.IDENTICAL):,} of {n_jobs:,} identical"]
    counts = {words: verdicts.count(verdict) for verdict, words in _IN_WORDS.items()}
    counts |= {"broke off": n_broken, "not run": n_missing}
    return ", ".join([*parts, *(f"{n:,} {words}" for words, n in counts.items() if n)])


def _print_verdict(
    out: Printer, name: str, comparison: Comparison, tolerance: float | None
) -> None:
    verdict = comparison.verdict
    title = f"{elide(name, LONGEST_NAME)}  "
    out.line((title, "bold"), (str(verdict), _COLOURS.get(verdict, "red")))
    for finding in comparison.findings:
        out.line(f"  {elide(finding, 300)}")
    if verdict is Verdict.CANNOT_COMPARE:
        return
    compared = (
        f"{count(comparison.n_values, 'value')} of the metrics and "
        f"{count(comparison.n_parameters, 'parameter')}"
    )
    if comparison.metric is None and comparison.weight is None:
        out.line(f"  {compared} have the same bits.")
        if verdict is not Verdict.IDENTICAL and not comparison.findings:
            out.line("  The data are others, so it is not called IDENTICAL.")
        return
    out.line(f"  {compared} were compared.")
    if comparison.n_one_sided:
        values = f"{count(comparison.n_one_sided, 'value')} of the metrics"
        verb = "stands" if comparison.n_one_sided == 1 else "stand"
        out.line(f"  {values} {verb} on one side alone.")
    _print_first_differences(out, comparison)
    out.line(f"  The largest difference: {_largest(comparison)}.")
    if not comparison.findings:
        out.line(f"  {_cause(comparison)}")
    if tolerance is not None:
        verb = "is" if comparison.is_admitted(tolerance) else "is not"
        out.line(f"  It {verb} admitted by --tolerance {tolerance:g}.")


def _print_first_differences(out: Printer, comparison: Comparison) -> None:
    firsts = {"metric": comparison.metric, "parameter": comparison.weight}
    for kind, first in firsts.items():
        if first is None:
            out.line(f"  All {kind}s have the same bits.")
    rows = [
        (f"the first {kind} that differs", first.where, first.original, first.rerun)
        for kind, first in firsts.items()
        if first is not None
    ]
    out.table(_text_columns(("", "where", "original", "rerun"), rows))


def _largest(comparison: Comparison) -> str:
    if not math.isfinite(comparison.relative):
        return "beyond any number"
    if comparison.relative == 0:
        return "the sign of a zero"
    relative = f"{comparison.relative:.2g} relative"
    if comparison.ulps > _COUNTABLE:
        return relative
    unit = "unit" if comparison.ulps == 1 else "units"
    return f"{comparison.ulps:,.0f} {unit} in the last place, {relative}"


def _cause(comparison: Comparison) -> str:
    causes = ", ".join(comparison.causes)
    if comparison.verdict is Verdict.CLOSE or _WITHOUT_BOUND.intersection(comparison.causes):
        return f"Cause: {causes}."
    if causes:
        return f"Too much for what differs here to be the cause ({causes})."
    if comparison.shows_edited_metric:
        return (
            "Nothing that decides the bits differs here, and all parameters are the same: "
            "the record of the metric was changed after the run."
        )
    return "Nothing that decides the bits is known to differ here."


def _print_changes(out: Printer, line: RerunLine) -> None:
    """Print changed settings and results side by side."""
    if line.settings:
        out.table(_text_columns(("setting", "original", "rerun"), line.settings))
    if line.metrics:
        rows = [
            (name, number(name, then), number(name, now), _signed(name, then, now))
            for name, then, now in line.metrics
        ]
        names, *numbers = _text_columns(("metric", "original", "rerun", "difference"), rows)
        out.table([names, *(Column(each.header, each.cells, "right") for each in numbers)])


def _signed(name: str, then: float | None, now: float | None) -> str:
    if then is None or now is None:
        return ""
    text = number(name, now - then)
    return text if text.startswith("-") else f"+{text}"


def _print_environment(out: Printer, differences: Sequence[EnvironmentDifference]) -> None:
    if not differences:
        out.line("Nothing differs between where it ran and here.")
        return
    rows = [
        (each.what, each.original, each.here, "yes" if each.decides else "no")
        for each in sorted(differences, key=lambda each: not each.decides)
    ]
    out.table(_text_columns(("what differs", "original", "here", "decides bits"), rows))


def _text_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Column]:
    """Make columns of texts that anybody may have written."""
    cells = zip(*rows, strict=True)
    return [
        Column(header, [elide(text, LONGEST_NAME) for text in column])
        for header, column in zip(headers, cells, strict=True)
    ]


def differing_settings(
    then: Mapping[str, str], now: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Return the settings that two flattened configs have otherwise."""
    return [
        (key, then.get(key, "-"), now.get(key, "-"))
        for key in dict.fromkeys([*then, *now])
        if then.get(key) != now.get(key)
    ]
