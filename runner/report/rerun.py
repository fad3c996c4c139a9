"""What a rerun came to: each verdict, where results part, what differs between the machines.

All text from a record is made safe to print here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from runner.config import Experiment, flatten, to_plain
from runner.jobs.events import Finished
from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.jobs.rerun.comparison import cannot_compare
from runner.jobs.rerun.request import RerunRequest
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
    """What came of one job, or of `n_jobs` that cannot be compared for one reason.

    `comparison` is None where settings were changed, or where the rerun broke off. `settings` that
    were changed come with their values then and now, and so do the final `metrics` then.
    """

    name: str
    comparison: Comparison | None
    failure: str | None = None
    settings: Sequence[tuple[str, str, str]] = ()
    metrics: Sequence[tuple[str, float | None, float | None]] = ()
    n_jobs: int = 1


def report_rerun(asked: RerunRequest, finished: Finished | None) -> None:
    """Print what came of a rerun; `finished` is None where no record was of any use."""
    lines = _lines(asked, finished) if finished else []
    n_missing = 0
    if finished and finished.was_interrupted:
        n_missing = len(finished.plan.jobs) - len(lines)
    lines += _unfit_lines(asked)
    title, ids = None, ("", "")
    if asked.parent is not None:
        sample = asked.options.sample
        is_sample = sample is not None and sample < asked.n_in_all
        title = (asked.parent.name, f", a sample of {asked.n_in_all:,}" if is_sample else "")
        ids = (finished and finished.run_id) or "", asked.parent.run_id
    elif finished:
        outcome = finished.outcomes.get(0)
        ids = outcome.run_id if outcome else "", asked.originals[0].source.run_id
    differences = None
    if finished and not finished.was_interrupted:
        differences = asked.environment_differences(finished.comparisons)
    print_rerun(
        lines,
        title=title,
        n_missing=n_missing,
        differences=differences,
        tolerance=asked.options.tolerance,
        duration_s=(finished and finished.duration_s) or 0.0,
        notes=_notes(asked, finished, len(lines), n_missing),
        ids=ids,
        link=asked.recording.where if asked.recording and finished else None,
    )


def _lines(asked: RerunRequest, finished: Finished) -> list[RerunLine]:
    lines = []
    for position, original in enumerate(asked.originals):
        outcome = finished.outcomes.get(position)
        comparison = finished.comparisons.get(position)
        if outcome is None:
            if comparison is not None:  # else an interrupt left no time for it
                lines.append(RerunLine(original.source.name, comparison))
            continue
        job = finished.plan.jobs[position]
        settings: list[tuple[str, str, str]] = []
        metrics: list[tuple[str, float | None, float | None]] = []
        if comparison is None:
            then, now = (_settings(run.experiment) for run in (original, job))
            # A file of the same content elsewhere is no setting that somebody changed.
            is_moved = original.source.tags.get("runner.data_digest") == job.data_digest
            settings = [
                (key, then.get(key, "-"), now.get(key, "-"))
                for key in dict.fromkeys([*then, *now])
                if then.get(key) != now.get(key) and not (is_moved and key == "data.path")
            ]
            before, after = original.source.final, outcome.metrics
            names = dict.fromkeys([*after, *before])
            metrics = [(name, before.get(name), after.get(name)) for name in names]
        lines.append(RerunLine(job.name, comparison, outcome.failure, settings, metrics))
    return lines


def _settings(experiment: Experiment) -> dict[str, str]:
    """Return the settings of a run as text."""
    flat = flatten(to_plain(experiment)).items()
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in flat}


def _unfit_lines(asked: RerunRequest) -> list[RerunLine]:
    """Return a line for each reason why records cannot be repeated."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for source, why in asked.unfit:
        reason = why.removeprefix(f"{source.label}: ")
        by_reason.setdefault(reason, []).append((source.name, why))
    lines = []
    for reason, (first, *others) in by_reason.items():
        name, why = (count(1 + len(others), "job"), reason) if others else first
        lines.append(RerunLine(name, cannot_compare(why), n_jobs=1 + len(others)))
    return lines


def _notes(
    asked: RerunRequest, finished: Finished | None, n_done: int, n_missing: int
) -> list[str]:
    notes = []
    if finished and finished.was_interrupted:
        done = "compared" if asked.compares else "run"
        notes.append(
            f"Interrupted: {n_done:,} of {count(n_done + n_missing, 'job')} were {done}. What "
            "was on record before is as it was."
        )
    sample = asked.options.sample
    n_taken = asked.n_in_all if sample is None else min(sample, asked.n_in_all)
    n_equal = n_taken - len(asked.unfit) - len(asked.originals)
    if n_equal and asked.plan is not None:
        notes.append(
            f"{count(n_taken, 'job')}, {n_taken - n_equal:,} distinct with these settings; equal "
            "ones are run once."
        )
    if asked.store is None and not asked.options.check:
        notes.append("Nothing was recorded: a folder has no store.")
    return notes


def print_rerun(
    lines: Sequence[RerunLine],
    *,
    title: tuple[str, str] | None,
    n_missing: int = 0,
    differences: Sequence[EnvironmentDifference] | None,
    tolerance: float | None = None,
    duration_s: float,
    notes: Sequence[str] = (),
    ids: tuple[str, str],
    link: str | None,
    file: TextIO | None = None,
) -> None:
    """Print the verdict on a run, or on the jobs of a sweep, to a file or the standard output.

    `title` is the name of a sweep and what to add to it, `ids` are those of the rerun and of what
    was repeated. There are no `differences` where nothing was run, and no `link` where nothing was
    recorded. `n_missing` jobs were left over by an interrupt.
    """
    with printing(file) as out:
        if title is None:
            _print_single(out, lines[0], tolerance)
        else:
            name, sample = title
            out.line((elide(name, LONGEST_NAME), "bold"), sample)
            _print_several(out, lines, n_missing, tolerance)
        if differences is not None:
            _print_environment(out, differences)
        out.line(f"took {duration(duration_s)}")
        for note in notes:
            out.line(note)
        if link:
            rerun_id, original_id = (elide(run_id, LONGEST_NAME) for run_id in ids)
            out.line(f"run {rerun_id}, a rerun of {original_id}")
            out.link(link, "it" if title is None else "them")


def _print_single(out: Printer, line: RerunLine, tolerance: float | None) -> None:
    if line.comparison is not None:
        _print_verdict(out, line.name, line.comparison, tolerance)
        return
    out.line((f"{elide(line.name, LONGEST_NAME)}  ", "bold"), "with other settings")
    if line.failure:
        out.line((f"  FAILED: {elide(line.failure, 200)}", "red"))
    _print_changes(out, line)


def _print_several(
    out: Printer, lines: Sequence[RerunLine], n_missing: int, tolerance: float | None
) -> None:
    compared = [(line, line.comparison) for line in lines if line.comparison]
    others = [line for line in lines if line.comparison is None]
    for line in [line for line in others if line.failure][:_MOST_JOBS]:
        name = elide(line.name, LONGEST_NAME)
        out.line((f"{name}  FAILED: ", "red"), elide(line.failure, 200))
    not_identical = [(n, c) for n, c in compared if c.verdict is not Verdict.IDENTICAL]
    for line, comparison in not_identical[:_MOST_JOBS]:
        _print_verdict(out, line.name, comparison, tolerance)
    _print_rest(out, not_identical)
    changed = [line for line in others if line.metrics]
    for line in changed[:_MOST_JOBS]:
        out.line((elide(line.name, LONGEST_NAME), "bold"))
        _print_changes(out, line)
    _print_rest(out, changed)
    if compared:
        verdicts = [c.verdict for line, c in compared for _ in range(line.n_jobs)]
        out.line((_summary(verdicts, len(others), n_missing), "bold"))


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
    title = (f"{elide(name, LONGEST_NAME)}  ", "bold")
    coloured = (str(verdict), _COLOURS.get(verdict, "red"))
    if verdict is Verdict.CANNOT_COMPARE:
        out.line(title, coloured, *(f"  {elide(finding, 300)}" for finding in comparison.findings))
        return
    out.line(title, coloured)
    for finding in comparison.findings:
        out.line(f"  {elide(finding, 300)}")
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
    out.line(f"  The largest difference{_largest(comparison)}.")
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
        (f"the first {kind} that differs", first.location, first.original, first.rerun)
        for kind, first in firsts.items()
        if first is not None
    ]
    out.table(_text_columns(("", "where", "original", "rerun"), rows))


def _largest(comparison: Comparison) -> str:
    if not math.isfinite(comparison.relative):
        return (
            " cannot be measured: a value is missing, given twice or not finite, or shapes differ"
        )
    if comparison.relative == 0:
        return ": the sign of a zero"
    relative = f"{comparison.relative:.2g} relative"
    if comparison.ulps > _COUNTABLE:
        return f": {relative}"
    unit = "unit" if comparison.ulps == 1 else "units"
    return f": {comparison.ulps:,.0f} {unit} in the last place, {relative}"


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
        out.table([names, *(Column(column.header, column.cells, "right") for column in numbers)])


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
        (row.what, row.original, row.here, "yes" if row.decides else "no")
        for row in sorted(differences, key=lambda row: not row.decides)
    ]
    out.table(_text_columns(("what differs", "original", "here", "decides bits"), rows))


def _text_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Column]:
    """Make columns of texts that anybody may have written."""
    cells = zip(*rows, strict=True)
    return [
        Column(header, [elide(text, LONGEST_NAME) for text in column])
        for header, column in zip(headers, cells, strict=True)
    ]
