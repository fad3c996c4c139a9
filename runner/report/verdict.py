"""One verdict in words: what was compared, where results part first, how far, and why.

It must not know whether it is one of many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.jobs.rerun import Comparison, Verdict
from runner.report.console import print_line
from runner.report.table import Column, print_table
from runner.system.formatting import count
from runner.system.text import elide

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 60
# More units in the last place than this say nothing to a person.
_COUNTABLE = 1e12
# What can make any difference, however large.
_WITHOUT_BOUND = {"data digest", "split digest", "code"}
_COLOURS = {
    Verdict.IDENTICAL: "green",
    Verdict.CLOSE: "yellow",
    Verdict.DIFFERENT: "red",
    Verdict.CANNOT_COMPARE: "red",
}


def print_verdict(
    console: Console, name: str, comparison: Comparison, admitted: float | None
) -> None:
    """Print what a comparison came to.

    Parameters
    ----------
    console : rich.console.Console
    name : str
        The run, fit to be shown.
    comparison : Comparison
    admitted : float or None
        Relative differences up to this are admitted.
    """
    verdict = comparison.verdict
    print_line(console, (f"{name}  ", "bold"), (str(verdict), _COLOURS[verdict]))
    for finding in comparison.findings:
        print_line(console, (f"  {elide(finding, 300)}", ""))
    if verdict is Verdict.CANNOT_COMPARE:
        return
    compared = (
        f"{count(comparison.n_values, 'value')} of the metrics and "
        f"{count(comparison.n_parameters, 'parameter')}"
    )
    if comparison.metric is None and comparison.weight is None:
        print_line(console, (f"  {compared} have the same bits.", ""))
        if verdict is not Verdict.IDENTICAL and not comparison.findings:
            print_line(console, ("  The data are others, so it is not called IDENTICAL.", ""))
        return
    print_line(console, (f"  {compared} were compared.", ""))
    if comparison.n_one_sided:
        told = f"{count(comparison.n_one_sided, 'value')} of the metrics"
        verb = "stands" if comparison.n_one_sided == 1 else "stand"
        print_line(console, (f"  {told} {verb} on one side alone.", ""))
    _print_firsts(console, comparison)
    print_line(console, (f"  The largest difference: {_largest(comparison)}.", ""))
    if not comparison.findings:
        print_line(console, (f"  {_cause(comparison)}", ""))
    if admitted is not None:
        told = "is" if comparison.is_admitted(admitted) else "is not"
        print_line(console, (f"  It {told} admitted by --tolerance {admitted:g}.", ""))


def _print_firsts(console: Console, comparison: Comparison) -> None:
    firsts = [
        (f"the first {kind} that differs", each)
        for kind, each in (("metric", comparison.metric), ("parameter", comparison.weight))
        if each is not None
    ]
    for kind, same in (("metrics", comparison.metric), ("parameters", comparison.weight)):
        if same is None:
            print_line(console, (f"  All {kind} have the same bits.", ""))
    print_table(
        console,
        [
            text_column("", [kind for kind, _ in firsts]),
            text_column("where", [each.where for _, each in firsts]),
            text_column("original", [each.original for _, each in firsts]),
            text_column("rerun", [each.rerun for _, each in firsts]),
        ],
    )


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


def text_column(header: str, cells: Sequence[str]) -> Column:
    """Make a column of texts that may come from anybody."""
    return Column(header, [elide(cell, _LONGEST) for cell in cells], "left")
