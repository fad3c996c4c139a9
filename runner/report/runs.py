"""Results: one run in full, several as a table, and the reasons why runs did not finish."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.report.table import (
    LONGEST_NAME,
    Printer,
    TableColumn,
    columns_of,
    printing,
    setting_columns,
    short_ids,
)
from runner.system.formatting import count, duration, local_time, number
from runner.system.text import elide, on_one_line
from runner.training.outcome import PARTS, Outcome, best_outcomes, further_metrics, varying_settings
from runner.training.verdict import pruned_at

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runner.jobs.events import Measured
    from runner.tracking import RecordedJob

# The rows of the metrics of one run, and the metrics that are of one class each.
_ROWS = (*PARTS, "baseline")
_OF_LABELS, _MOST_LABELS = ("precision_", "recall_"), 12
# Shorter durations would all be shown as 0.0.
_SHORTEST_SHOWN_S = 0.05
# More failed runs than this with one reason share a line, which names at most so many of them.
_MANY, _NAMED = 20, 40


def print_metrics(event: Measured) -> None:
    """Print at once what one run has measured; the rest of its record is to come."""
    with printing() as out:
        took = f"{event.n_steps:,} steps, {event.duration_s:.1f} s"
        out.line((f"{elide(event.name, LONGEST_NAME)}  ", "bold"), took)
        if event.trained_on:
            out.line(event.trained_on)
        print_final(out, event.metrics, event.class_names)


def print_run(outcome: Outcome, duration_s: float, link: str) -> None:
    """Print the result of one run; the metrics of a FINISHED one have been printed already.

    The whole command took `duration_s` seconds. The `link` is an address of the run, or a command
    that shows it.
    """
    with printing() as out:
        took = f"took {duration_s:.1f} s"
        if outcome.status in ("FINISHED", "PRUNED"):
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


def print_final(
    out: Printer, recorded: Mapping[str, float], class_names: Mapping[str, str] = {}
) -> None:
    """Print the final metrics of a run as a table, a row for each part of the rows.

    `class_names` has what classes are called, by what stands for them in the names of metrics.
    """
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
        part = [row for row in shown if row != "baseline"][-1]
        last = rows[part]
        labels = list(dict.fromkeys(label for _, _, label in of_labels.values()))[:_MOST_LABELS]
        if labels:
            _print_labels(
                out, part, last, {label: class_names.get(label, label) for label in labels}
            )
    if others:
        out.line(", ".join(others))


def _print_labels(
    out: Printer, part: str, metrics: Mapping[str, float], names: Mapping[str, str]
) -> None:
    """Print precision, recall and F1 of each class, by what stands for it in the metrics."""
    scores: dict[str, list[float | None]] = {
        kind: [metrics.get(f"{kind}_{label}") for label in names]
        for kind in ("precision", "recall")
    }
    scores["F1"] = [
        None if p is None or r is None else 2 * p * r / (p + r) if p + r else 0.0
        for p, r in zip(*scores.values(), strict=True)
    ]
    columns = [
        TableColumn(kind, [number(kind.lower(), value) for value in values], "right")
        for kind, values in scores.items()
        if any(value is not None for value in values)
    ]
    out.table([TableColumn(f"{part} class", [*names.values()]), *columns])


def print_runs(
    out: Printer, outcomes: Sequence[Outcome], metrics: Sequence[str], top: int | None = None
) -> None:
    """Print the finished ones of several runs as a table, the best first."""
    metric = metrics[0]
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
        needed += map(metric_column, metrics)
        recorded = (name for outcome in shown for name in outcome.metrics)
        # Before the columns that a narrow terminal leaves out: other commands take it.
        ids = short_ids([outcome.run_id for outcome in outcomes])
        further = [TableColumn("run", [ids[outcome.run_id] for outcome in shown])]
        further += [
            metric_column(name) for name in further_metrics(recorded, metric) if name not in metrics
        ]
        if any(outcome.duration_s >= _SHORTEST_SHOWN_S for outcome in shown):
            further.append(column("seconds", lambda outcome: f"{outcome.duration_s:.1f}"))
        return needed, further

    ranked = best_outcomes(finished, metric)
    out.ranking(count(len(finished), "run"), metric, ranked, columns, top)


def print_run_list(runs: Sequence[tuple[RecordedJob, str, float]], top: int | None) -> None:
    """Print single runs, each with its MLflow experiment and when it began, in s since 1970."""
    if top is None:
        top = len(runs) if len(runs) <= 2 * _MANY else _MANY
    ids = short_ids([job.outcome.run_id for job, _, _ in runs])
    rows = [
        (
            ids[job.outcome.run_id],
            elide(job.outcome.name, 40),
            job.outcome.status.lower(),
            number("val/loss", job.outcome.metrics.get("val/loss")),
            local_time(started),
            duration(job.outcome.duration_s),
            elide(experiment, 40),
        )
        for job, experiment, started in runs[:top]
    ]
    headers = ("run", "name", "state", "val/loss", "begun", "took", "experiment")
    with printing() as out:
        if not rows:
            out.line("There are no runs of their own yet. runner experiment=iris makes one.")
            return
        columns = columns_of(headers, rows, right=("val/loss", "took"))
        out.table(columns[:5], columns[5:])
        if len(runs) > top:
            out.line((f"and {len(runs) - top:,} more", "dim"))


def print_recorded_run(
    outcome: Outcome,
    trained_on: str,
    classes: Classes | None,
    notes: Sequence[str],
    uri: str | None = None,
) -> None:
    """Print a run of the past: its metrics, and what it says of each class of the `classes`.

    Of a finished one, a line predicts with it, in the store `uri` where that is named.
    """
    with printing() as out:
        out.line(
            (f"{elide(outcome.name, LONGEST_NAME)}  ", "bold"),
            _status(outcome),
            f"trained in {duration(outcome.duration_s)}",
        )
        if trained_on:
            out.line(trained_on)
        if outcome.failure:
            out.line((f"  {on_one_line(outcome.failure)}", "red"))
        of_classes = _OF_LABELS if classes else ()
        print_final(
            out,
            {
                k: v
                for k, v in outcome.metrics.items()
                if not k.rpartition("/")[2].startswith(of_classes)
            },
        )
        if classes is not None:
            classes.print(out)
        for note in notes:
            out.line(note)
        out.line(f"run {outcome.run_id}")
        if outcome.status == "FINISHED":
            named = "" if uri is None else f" --uri {shlex.quote(uri)}"
            out.command(f"  runner predict {outcome.run_id} FILE.csv{named}")


@dataclass(frozen=True)
class Classes:
    """How often each true class (row) was given each predicted class (column), of some rows."""

    part: str
    names: Sequence[str]
    counts: NDArray[np.intp]

    def scores(self) -> dict[str, list[str]]:
        """Write precision, recall, F1 and the number of rows of each class; 0 for 0 / 0."""
        right, rows, said = self.counts.diagonal(), self.counts.sum(axis=1), self.counts.sum(axis=0)
        shares = {
            "precision": right / said.clip(1),
            "recall": right / rows.clip(1),
            "F1": 2 * right / (rows + said).clip(1),
        }
        scores = {name: [f"{value:.4f}" for value in values] for name, values in shares.items()}
        return {**scores, "rows": [f"{n:,}" for n in rows]}

    def print(self, out: Printer) -> None:
        """Print a table of scores, and the counts."""
        names = [elide(name, 20) for name in self.names]
        rows = count(int(self.counts.sum()), f"{self.part} row")
        out.line((f"Classes of {rows}", "bold"))
        columns = [TableColumn(name, cells, "right") for name, cells in self.scores().items()]
        out.table([TableColumn("class", names), *columns])
        out.line(
            ("Confusion matrix: a row for each true class, a column for each predicted", "bold")
        )
        predicted = [
            TableColumn(name, [f"{n:,}" for n in self.counts[:, column]], "right")
            for column, name in enumerate(names)
        ]
        out.table([TableColumn("", names), *predicted[:1]], predicted[1:])


def print_failures(out: Printer, outcomes: Sequence[Outcome]) -> None:
    """Print which runs did not finish, and why; many that failed for one reason share a line."""
    unfinished = [outcome for outcome in outcomes if outcome.status in ("FAILED", "KILLED")]
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
    color = {"FINISHED": "green", "PRUNED": "green", "FAILED": "red", "KILLED": "yellow"}[
        outcome.status
    ]
    # One at epoch 6: at epoch 6.
    return f"{outcome.status} {pruned_at([outcome]).removeprefix('1 ')}".rstrip() + "  ", color
