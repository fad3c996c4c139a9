"""Results: one run in full, several as a table, and the reasons why runs did not finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from runner.report.table import (
    LONGEST_NAME,
    Printer,
    TableColumn,
    further_metrics,
    printing,
    setting_columns,
    varying_settings,
)
from runner.system.formatting import count, number
from runner.system.text import elide, on_one_line
from runner.training.outcome import Outcome, best_first

if TYPE_CHECKING:
    from runner.jobs.events import Measured

# The rows of the metrics of one run, and the metrics that are of one class each.
_ROWS = ("train", "val", "test", "baseline")
_OF_LABELS, _MOST_LABELS = ("precision_", "recall_"), 12
# Shorter durations would all be shown as 0.0.
_SHORTEST_SHOWN_S = 0.05
# More failed runs than this with one reason share a line, which names at most so many of them.
_MANY, _NAMED = 20, 40


def print_metrics(event: Measured, file: TextIO | None = None) -> None:
    """Print at once what one run has measured; the rest of its record is to come."""
    with printing(file) as out:
        took = f"{event.n_steps:,} steps, {event.duration_s:.1f} s"
        out.line((f"{elide(event.name, LONGEST_NAME)}  ", "bold"), took)
        print_final(out, event.metrics)


def print_run(outcome: Outcome, link: str, file: TextIO | None = None) -> None:
    """Print the result of one run; the metrics of a FINISHED one have been printed already.

    The `link` is an address of the run, or a command that shows it.
    """
    with printing(file) as out:
        took = f"{outcome.duration_s:.1f} s"
        if outcome.status == "FINISHED":
            out.line(_status(outcome), took)
        else:
            if outcome.n_steps is not None:
                took = f"{outcome.n_steps:,} steps, {took}"
            out.line((f"{elide(outcome.name, LONGEST_NAME)}  ", "bold"), _status(outcome), took)
            if outcome.failure:
                out.line((f"  {on_one_line(outcome.failure)}", "red"))
            print_final(out, outcome.metrics)
        if outcome.run_id:
            out.line(f"run {outcome.run_id}")
        out.link(link, "it")


def print_final(out: Printer, recorded: Mapping[str, float]) -> None:
    """Print the final metrics of a run as a table, a row for each part of the rows."""
    rows: dict[str, dict[str, float]] = {}
    others: list[str] = []
    for name, value in recorded.items():
        # baseline/test/loss stands in the row of the baseline, which is of the last part.
        row, metric = name.partition("/")[0], name.rpartition("/")[2]
        if row in _ROWS:
            rows.setdefault(row, {})[metric] = value
        else:
            others.append(f"{name} {number(name, value)}")
    shown = [row for row in _ROWS if row in rows]
    if shown:
        metrics = dict.fromkeys(metric for row in shown for metric in rows[row])
        of_labels = {m: m.partition("_") for m in metrics if m.startswith(_OF_LABELS)}
        columns = [
            TableColumn(m, [number(m, rows[row].get(m)) for row in shown], "right")
            for m in metrics
            if m not in of_labels
        ]
        out.table([TableColumn("", shown), *columns[:2]], columns[2:])
        last = rows[[row for row in shown if row != "baseline"][-1]]
        labels = list(dict.fromkeys(label for _, _, label in of_labels.values()))[:_MOST_LABELS]
        if labels:
            columns = [
                TableColumn(
                    kind, [number(kind, last.get(f"{kind}_{label}")) for label in labels], "right"
                )
                for kind in dict.fromkeys(kind for kind, _, _ in of_labels.values())
            ]
            out.table([TableColumn("class", labels), *columns])
    if others:
        out.line(", ".join(others))


def print_runs(
    out: Printer, outcomes: Sequence[Outcome], metric: str, top: int | None = None
) -> None:
    """Print the finished ones of several runs as a table, the best first."""
    finished = [outcome for outcome in outcomes if outcome.status == "FINISHED"]
    if not finished:
        return
    names = varying_settings([outcome.varied for outcome in outcomes])

    def columns(shown: Sequence[Outcome]) -> tuple[list[TableColumn], list[TableColumn]]:
        def column(header: str, cell: Callable[[Outcome], str]) -> TableColumn:
            return TableColumn(header, [cell(outcome) for outcome in shown], "right")

        def metric_column(name: str) -> TableColumn:
            return column(name, lambda outcome: number(name, outcome.metrics.get(name)))

        needed = setting_columns([outcome.varied for outcome in shown], names)
        if not names:
            needed.append(TableColumn("name", [outcome.name for outcome in shown]))
        needed.append(metric_column(metric))
        recorded = (name for outcome in shown for name in outcome.metrics)
        further = [metric_column(name) for name in further_metrics(recorded, metric)]
        if any(outcome.duration_s >= _SHORTEST_SHOWN_S for outcome in shown):
            further.append(column("seconds", lambda outcome: f"{outcome.duration_s:.1f}"))
        further.append(TableColumn("run", [outcome.run_id for outcome in shown]))
        return needed, further

    ranked = best_first(
        finished,
        metric,
        lambda outcome: outcome.metrics.get(metric),
        lambda outcome, name: outcome.metrics.get(name),
    )
    out.ranking(count(len(finished), "run"), metric, ranked, columns, top)


def print_failures(out: Printer, outcomes: Sequence[Outcome]) -> None:
    """Print which runs did not finish, and why; many that failed for one reason share a line."""
    unfinished = [outcome for outcome in outcomes if outcome.status != "FINISHED"]
    if not unfinished:
        return
    out.line((f"{len(unfinished):,} of {count(len(outcomes), 'run')} did not finish", "bold"))
    by_reason: dict[tuple[str, str | None], list[Outcome]] = {}
    for outcome in unfinished:
        by_reason.setdefault((outcome.status, outcome.failure), []).append(outcome)
    alone: list[Outcome] = []
    for runs in by_reason.values():
        if len(runs) <= _MANY:
            alone += runs
            continue
        _print_failure(out, runs[0], count(len(runs), "run"))
        hidden = len(runs) - _NAMED
        more = f" and {hidden:,} more" if hidden > 0 else ""
        out.line(f"    {', '.join(map(_name, runs[:_NAMED]))}{more}")
    for outcome in alone[:_NAMED]:
        _print_failure(out, outcome, _name(outcome))
    if len(alone) > _NAMED:
        out.line(f"  and {len(alone) - _NAMED:,} more")


def _print_failure(out: Printer, outcome: Outcome, who: str) -> None:
    reason = on_one_line(outcome.failure or "no reason was given")
    out.line("  ", _status(outcome), f"{who}: {reason}")


def _name(outcome: Outcome) -> str:
    return elide(outcome.name, LONGEST_NAME)


def _status(outcome: Outcome) -> tuple[str, str]:
    color = {"FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}[outcome.status]
    return f"{outcome.status}  ", color
