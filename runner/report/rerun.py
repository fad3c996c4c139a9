"""The report of a rerun: verdicts, first differences, and differences of the environments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.config.plain import as_override_text, flatten, to_plain
from runner.jobs.events import Finished
from runner.jobs.plan import PlannedJob
from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.jobs.rerun.comparison import cannot_compare
from runner.jobs.rerun.request import RerunRequest
from runner.report.table import LONGEST_NAME, Printer, columns_of, printing
from runner.system.formatting import count, duration, number
from runner.system.text import elide, on_one_line
from runner.tracking.records import Record

if TYPE_CHECKING:
    from runner.jobs.search import SearchComparison

# At most this many jobs of a sweep are printed in full, of each kind.
_MOST_JOBS = 20
# Larger numbers of units in the last place are not printed.
_COUNTABLE = 1e12
# Differences between environments that can change a result by any amount.
_WITHOUT_BOUND = {"data digest", "split digest", "code"}
_COLOURS = {Verdict.IDENTICAL: "green", Verdict.CLOSE: "yellow"}
_LONGEST_REASON = 300


@dataclass(frozen=True)
class RerunLine:
    """The result of one job, or of `n_jobs` that cannot be compared for one reason.

    `comparison` is None where settings were changed, or where the rerun broke off. `settings` and
    final `metrics` that may differ come by name, each as it was and as it is now.
    """

    name: str
    comparison: Comparison | None
    failure: str | None = None
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    metrics: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    n_jobs: int = 1


def print_rerun(rerun: RerunRequest, finished: Finished | None) -> None:
    """Print the results of a rerun; `finished` is None where no record could be repeated."""
    lines = _lines(rerun, finished) if finished else []
    n_missing = 0
    if finished and finished.was_interrupted:
        n_missing = len(finished.plan.jobs) - len(lines)
    notes = _notes(rerun, finished, len(lines), n_missing)
    lines += _unfit_lines(rerun)
    options, parent = rerun.options, rerun.parent
    with printing() as out:
        if parent is None:
            print_line(out, lines[0], options.tolerance)
        else:
            is_sample = options.sample is not None and options.sample < rerun.n_in_all
            sample = f", a sample of {options.sample:,} of {rerun.n_in_all:,}" if is_sample else ""
            out.line((elide(parent.name, LONGEST_NAME), "bold"), sample)
            decided = _decided_words(finished.search) if finished and finished.search else []
            print_lines(out, lines, n_missing, options.tolerance, decided)
        if finished and not finished.was_interrupted:
            print_environment(out, rerun.environment_differences(finished.comparisons))
        out.line(f"took {duration((finished and finished.duration_s) or 0.0)}")
        for note in notes:
            out.line(note)
        if finished and rerun.recording:
            single = finished.outcomes.get(0)
            run_id = finished.run_id if parent else single and single.run_id
            original_id = (parent or rerun.originals[0].source).run_id
            out.line(f"run {run_id}, a rerun of {original_id}")
            out.link(rerun.recording.where, "them" if parent else "it")


def _lines(rerun: RerunRequest, finished: Finished) -> list[RerunLine]:
    lines = []
    not_run: list[tuple[str, str, str]] = []
    for position, original in enumerate(rerun.originals):
        outcome = finished.outcomes.get(position)
        comparison = finished.comparisons.get(position)
        job = finished.plan.jobs[position]
        if outcome is None:
            if comparison is not None:  # else an interrupt left no time for it
                (why,) = comparison.findings
                not_run.append((original.source.name, why, why))
        elif comparison is not None:
            lines.append(RerunLine(job.name, comparison, outcome.failure))
        else:
            then, now = original.source.final, outcome.metrics
            metrics = {name: (then.get(name), now.get(name)) for name in {**now, **then}}
            settings = _changed_settings(original, job)
            lines.append(RerunLine(job.name, None, outcome.failure, settings, metrics))
    return [*lines, *_by_reason(not_run)]


def _changed_settings(original: Record, job: PlannedJob) -> dict[str, tuple[str, str]]:
    then, now = (flatten(to_plain(run.experiment)) for run in (original, job))
    if original.source.tags.get("runner.data_digest") == job.data_digest:
        # A moved file of the same content is not a changed setting.
        then.pop("data.path", None)
        now.pop("data.path", None)
    return {
        key: (_as_text(key, then), _as_text(key, now))
        for key in {**then, **now}
        if key not in then or key not in now or then[key] != now[key]
    }


def _as_text(key: str, settings: Mapping[str, object]) -> str:
    return as_override_text(settings[key]) if key in settings else "-"


def _unfit_lines(rerun: RerunRequest) -> list[RerunLine]:
    """Return a line for each reason why records cannot be repeated."""
    unfit = [
        (source.name, why, why.removeprefix(f"{source.label}: ")) for source, why in rerun.unfit
    ]
    return _by_reason(unfit)


def _by_reason(jobs: Sequence[tuple[str, str, str]]) -> list[RerunLine]:
    """Return a line for each reason, the last of three; the second says it of one job alone."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for name, why, reason in jobs:
        by_reason.setdefault(reason, []).append((name, why))
    lines = []
    for reason, (first, *others) in by_reason.items():
        n_jobs = 1 + len(others)
        name, why = (count(n_jobs, "job"), reason) if others else first
        lines.append(RerunLine(name, cannot_compare(why), n_jobs=n_jobs))
    return lines


def _notes(
    rerun: RerunRequest, finished: Finished | None, n_done: int, n_missing: int
) -> list[str]:
    notes = []
    if finished and finished.was_interrupted:
        done = "compared" if rerun.compares else "run"
        notes.append(
            f"Interrupted: {n_done:,} of {count(n_done + n_missing, 'job')} were {done}. What "
            "was on record before is as it was."
        )
    n_taken = min(rerun.options.sample or rerun.n_in_all, rerun.n_in_all)
    n_equal = n_taken - len(rerun.unfit) - len(rerun.originals)
    if n_equal and rerun.plan is not None:
        notes.append(
            f"{count(n_taken, 'job')}, {n_taken - n_equal:,} distinct with these settings; equal "
            "ones are run once."
        )
    if rerun.store is None and not rerun.options.check:
        notes.append("Nothing was recorded: a folder has no store.")
    return notes


def print_line(out: Printer, line: RerunLine, tolerance: float | None) -> None:
    """Print one job in full: its verdict, or its results with other settings."""
    name = (f"{elide(line.name, LONGEST_NAME)}  ", "bold")
    if line.comparison is not None:
        _print_verdict(out, name, line.comparison, tolerance)
        return
    out.line(name, "with other settings")
    if line.failure:
        out.line((f"  FAILED: {elide(line.failure, _LONGEST_REASON)}", "red"))
    _print_changes(out, line)


def print_lines(
    out: Printer,
    lines: Sequence[RerunLine],
    n_missing: int,
    tolerance: float | None,
    decided: Sequence[str] = (),
) -> None:
    """Print the jobs of a sweep: identical ones are counted, others are shown.

    An interrupt left no time for `n_missing` jobs; `decided` is said of a search beside them.
    """
    compared = [(line, line.comparison.verdict) for line in lines if line.comparison]
    others = [line for line in lines if line.comparison is None]
    for line in [line for line in others if line.failure][:_MOST_JOBS]:
        name = elide(line.name, LONGEST_NAME)
        out.line((f"{name}  FAILED: ", "red"), elide(line.failure, _LONGEST_REASON))
    not_identical = [line for line, verdict in compared if verdict is not Verdict.IDENTICAL]
    for line in not_identical[:_MOST_JOBS]:
        print_line(out, line, tolerance)
    _print_rest(out, not_identical)
    changed = [line for line in others if line.metrics]
    for line in changed[:_MOST_JOBS]:
        out.line((elide(line.name, LONGEST_NAME), "bold"))
        _print_changes(out, line)
    _print_rest(out, changed)
    if compared:
        counts = dict.fromkeys(Verdict, 0)
        for line, verdict in compared:
            counts[verdict] += line.n_jobs
        n_jobs = sum(counts.values()) + len(others) + n_missing
        words = {
            "close": counts[Verdict.CLOSE],
            "different": counts[Verdict.DIFFERENT],
            "not comparable": counts[Verdict.CANNOT_COMPARE],
            "broke off": len(others),
            "not run": n_missing,
        }
        parts = [f"{counts[Verdict.IDENTICAL]:,} of {n_jobs:,} identical"]
        parts += [f"{n:,} {what}" for what, n in words.items() if n]
        out.line((", ".join([*parts, *decided]), "bold"))


def _decided_words(search: SearchComparison) -> list[str]:
    """Say whether a rerun has repeated what a search decided."""
    words = []
    if search.n_rungs:
        n_alike = search.n_rungs_identical
        how_many = "all" if n_alike == search.n_rungs else f"{n_alike:,} of"
        words.append(f"{how_many} {count(search.n_rungs, 'rung')} identical")
    return [*words, f"{'the same' if search.proposes_alike else 'OTHER'} trials chosen"]


def _print_rest(out: Printer, jobs: Sequence[object]) -> None:
    if len(jobs) > _MOST_JOBS:
        out.line(f"... and {len(jobs) - _MOST_JOBS:,} more")


def _print_verdict(
    out: Printer, name: tuple[str, str], comparison: Comparison, tolerance: float | None
) -> None:
    verdict = comparison.verdict
    coloured = (str(verdict), _COLOURS.get(verdict, "red"))
    findings = [
        f"  {elide(on_one_line(finding), _LONGEST_REASON)}" for finding in comparison.findings
    ]
    if verdict is Verdict.CANNOT_COMPARE:
        out.line(name, coloured, *findings)
        return
    out.line(name, coloured)
    for finding in findings:
        out.line(finding)
    values = f"{count(comparison.n_values, 'value')} of the metrics"
    compared = f"  {values} and {count(comparison.n_parameters, 'parameter')}"
    firsts = {"metric": comparison.metric, "parameter": comparison.weight}
    differing = {kind: first for kind, first in firsts.items() if first is not None}
    if not differing:
        out.line(f"{compared} have the same bits.")
        if verdict is not Verdict.IDENTICAL and not findings:
            out.line("  The data are others, so it is not called IDENTICAL.")
        return
    out.line(f"{compared} were compared.")
    if n := comparison.n_one_sided:
        verb = "stands" if n == 1 else "stand"
        out.line(f"  {count(n, 'value')} of the metrics {verb} on one side alone.")
    for kind in firsts.keys() - differing.keys():
        out.line(f"  All {kind}s have the same bits.")
    rows = [
        (f"the first {kind} that differs", first.location, first.original, first.rerun)
        for kind, first in differing.items()
    ]
    out.table(columns_of(("", "where", "original", "rerun"), rows))
    out.line(f"  The largest difference{_largest(comparison)}.")
    if not findings:
        out.line(f"  {_cause(comparison)}")
    if tolerance is not None:
        verb = "is" if comparison.is_admitted(tolerance) else "is not"
        out.line(f"  It {verb} admitted by --tolerance {tolerance:g}.")


def _largest(comparison: Comparison) -> str:
    relative = f"{comparison.relative:.2g} relative"
    if not math.isfinite(comparison.relative):
        return (
            " cannot be measured: a value is missing, given twice or not finite, or shapes differ"
        )
    if comparison.relative == 0:
        return ": the sign of a zero"
    if comparison.ulps > _COUNTABLE:
        return f": {relative}"
    return f": {count(int(comparison.ulps), 'unit')} in the last place, {relative}"


def _cause(comparison: Comparison) -> str:
    causes = ", ".join(comparison.causes)
    if comparison.verdict is Verdict.CLOSE or _WITHOUT_BOUND.intersection(comparison.causes):
        return f"Cause: {causes}."
    if causes:
        return f"Too much for what differs here to be the cause ({causes})."
    if comparison.shows_edited_metric:
        return (
            "Nothing that decides the bits differs here, and all parameters are the same: "
            "the record of the metric was changed after the run, or this program has a fault."
        )
    return "Nothing that decides the bits is known to differ here."


def _print_changes(out: Printer, line: RerunLine) -> None:
    """Print changed settings and results side by side."""
    if line.settings:
        rows = [(key, then, now) for key, (then, now) in line.settings.items()]
        out.table(columns_of(("setting", "original", "rerun"), rows))
    if line.metrics:
        results = [
            (name, number(name, then), number(name, now), _signed(name, then, now))
            for name, (then, now) in line.metrics.items()
        ]
        numbers = ("original", "rerun", "difference")
        out.table(columns_of(("metric", *numbers), results, right=numbers))


def _signed(name: str, then: float | None, now: float | None) -> str:
    if then is None or now is None:
        return ""
    if now == then:
        return "0"
    text = number(name, now - then)
    return text if text.startswith("-") else f"+{text}"


def print_environment(out: Printer, differences: Sequence[EnvironmentDifference]) -> None:
    """Print how this environment differs from the original one, with what decides bits first."""
    if not differences:
        out.line("Nothing differs between where it ran and here.")
        return
    rows = [
        (row.what, row.original, row.here, "yes" if row.decides else "no")
        for row in sorted(differences, key=lambda row: not row.decides)
    ]
    out.table(columns_of(("what differs", "original", "here", "decides bits"), rows))
