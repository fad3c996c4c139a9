"""The command `runner report`: a sweep as one file of HTML."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli.predict import LoadedRun, writable
from runner.jobs.sweep.parent_runs import COMMAND
from runner.jobs.sweep.resume import read_sweep
from runner.report.data import COLUMN_FACTS, column_rows, reading_lines
from runner.report.page import html_page
from runner.report.table import metric_columns, say, setting_columns
from runner.system.errors import CommandError, RecordError, RunnerError, shorten
from runner.system.files import write_text
from runner.system.formatting import count, local_time, number
from runner.tracking import SweepSummary, started_s, sweep_of
from runner.tracking.records import StoredRun
from runner.tracking.records.mlflow_record import find_run
from runner.training.data.files import describe_file
from runner.training.outcome import (
    PART_WORDS,
    PARTS,
    Outcome,
    further_metrics,
    varied_values,
    varying_settings,
)
from runner.training.run_files import CONFIG_YAML
from runner.training.statistics import configurations, ranked, without_replicates
from runner.training.verdict import remarks
from softnet import higher_is_better

if TYPE_CHECKING:
    from runner.report.runs import Classes

_ROWS, _LIMIT, _REPEATS, _BAR = 50, 1 << 24, 10, 20.0


def report(target: str, out: str | None, uri: str | None, data: str | None) -> None:
    """Write the page of a sweep; by default `<name of the sweep>.html`, into the working folder.

    Its own rows are read from where they are recorded, or from `data`.
    """
    found = find_run(uri, target)
    if found.tags.get("runner.kind") != "sweep":
        raise CommandError(f"SWEEP: must be a sweep, got {found.label}.")
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in found.name[:100])
    if out is not None and not out.endswith(".html"):
        raise CommandError(f"--out: must be a file that ends in .html, got {shorten(out)}.")
    file = writable(out or f"{name}.html", None)
    named = "" if uri is None else f" --uri {shlex.quote(found.store.address.shown)}"
    write_text(file, html_page({"named": named, **_content(found, data)}))
    say(f"{file}: {file.stat().st_size / 1024:,.0f} KiB. It needs no other file.")


def _content(found: StoredRun, data: str | None) -> dict[str, Any]:
    sweep = read_sweep(found)
    outcomes, metric, several = sweep.outcomes, sweep.metric, sweep.best
    if not several:
        raise RecordError(f"{found.label}: no job of it has finished.")
    best = sweep.members[several[0].run_id]
    n_finished = sum(outcome.status in ("FINISHED", "PRUNED") for outcome in outcomes)
    content: dict[str, Any] = {
        "title": found.name,
        "of_data": _data_name(best),
        "is_file": "data.path" in best.params,
        "begun": local_time(started_s(found.run)),
        "counts": f"{n_finished:,} of {count(len(outcomes), 'run')} finished",
        "metric": metric,
        "order": "largest" if higher_is_better(metric) else "smallest",
        "figures": _figures(found),
        "command": found.tags.get(COMMAND, ""),
        "run_id": found.run_id,
        "settings": best.read(CONFIG_YAML, _LIMIT).decode(errors="replace"),
        **_results(outcomes, metric, sweep_of(found.run).summary),
        **_best(several),
    }
    return content | _loaded(best, data, found.tags.get("runner.trained_on", ""))


def _data_name(member: StoredRun) -> str:
    """Return what the data are called: the name of their file, or of what ships."""
    path = member.params.get("data.path", "")
    return path.rpartition("/")[2] or member.params.get("data.name", "")


def _results(outcomes: Sequence[Outcome], metric: str, summary: SweepSummary) -> dict[str, Any]:
    rows = ranked([c for c in configurations(outcomes) if c.outcomes], metric)
    names = varying_settings([configuration.varied for configuration in rows])
    metrics = [metric, *further_metrics((m for o in outcomes for m in o.metrics), metric)]
    shown = rows[:_ROWS]
    # A page scrolls what it has no room for, and that is not to be a metric.
    means = metric_columns(shown, metrics)
    columns = [*means, *setting_columns([c.varied for c in shown], names)]
    n_splits = max(len(row.values(metric)) for row in rows)
    basis = "seeds on one split, and says nothing of other rows"
    if n_splits > 1:
        basis = f"{n_splits:,} splits"
    values = varied_values(without_replicates(outcome.varied) for outcome in outcomes)
    return {
        "varied": {key: ", ".join(distinct) for key, distinct in values.items()},
        "table": {
            "header": [column.header for column in columns],
            "rows": list(zip(*(column.cells for column in columns), strict=True)),
            "n_more": len(rows) - len(shown),
        },
        "basis": basis if any("±" in cell for column in means for cell in column.cells) else "",
        "n_of": "splits" if n_splits > 1 else "seeds",
        "verdicts": remarks(outcomes, metric, summary.expected, summary.search),
    }


def _best(several: Sequence[Outcome]) -> dict[str, Any]:
    """Return the metrics of the best run, or the means of all over several splits."""
    first = several[0]
    names = dict.fromkeys(
        name.partition("/")[2] for name in first.metrics if name.partition("/")[0] in PARTS
    )
    (configuration,) = configurations(several)
    means = {f"{part}/{n}": configuration.summary(f"{part}/{n}") for part in PARTS for n in names}
    rows = {
        name: [number(name, m.mean if (m := means[f"{part}/{name}"]) else None) for part in PARTS]
        for name in names
        if not name.startswith(("precision_", "recall_"))
    }
    n_runs = count(len(several), "run") if len(several) > 1 else ""
    best = {"run_id": first.run_id, "name": first.name, "parts": PARTS, "metrics": rows}
    return {"best": best | {"n_runs": n_runs}}


def _figures(found: StoredRun) -> dict[str, str]:
    """Return the sweep's figures, whatever settings they are of, as text for a page."""
    figures = {}
    for name in found.files("figures"):
        with suppress(RecordError):
            figures[Path(name).stem] = base64.b64encode(found.read(name, _LIMIT)).decode()
    return figures


def _loaded(member: StoredRun, data: str | None, trained_on: str) -> dict[str, Any]:
    """Return what the network of a run says of its own rows, where they can still be read.

    Raises `RunnerError` if they cannot be read from the file that a person names.
    """
    content: dict[str, Any] = {"data": [trained_on], "notes": [], "classes": None}
    content |= {"importance": None, "environment": {}, "columns": [], "facts": COLUMN_FACTS}
    content["plugins"] = []
    try:
        run = LoadedRun(member, data)
        content["environment"] = run.environment()
        beginning = "plugins."
        content["plugins"] = [
            name.removeprefix(beginning)
            for name in content["environment"]
            if name.startswith(beginning)
        ]
        content["data"] = [trained_on, *reading_lines(run.experiment, run.rows)]
        content["columns"] = _columns(run)
        content["classes"] = _classes(run.classes())
        part, rises = run.importance(_REPEATS)
        largest = max([*rises.values(), 1e-12])
        columns = sorted(rises.items(), key=lambda item: -item[1])
        content["importance"] = {
            "rows": count(len(run.rows.examples(part).y), f"{PART_WORDS[part]} row"),
            "n": _REPEATS,
            "columns": [
                (name, f"{rise:.4g}", f"{_BAR * max(rise, 0) / largest:.2f}")
                for name, rise in columns[:_ROWS]
            ],
        }
    except RunnerError as error:
        if data is not None:
            raise
        content["notes"] = [f"What takes the run's own rows is left out: {error}"]
    return content


def _columns(run: LoadedRun) -> list[tuple[str, ...]]:
    """Return a row for each column of the file that was read; none for data that ship."""
    data = run.rows.data
    if data is None:
        return []
    # The record names the columns that were left out, and not why.
    return [
        (*facts, "left out" if use.startswith("left out") else use, examples)
        for *facts, use, examples in column_rows(describe_file(data, data, {}))
    ][:_ROWS]


def _classes(classes: Classes | None) -> dict[str, Any] | None:
    if classes is None:
        return None
    scores = classes.scores()
    return {
        "rows": count(int(classes.counts.sum()), f"{PART_WORDS[classes.part]} row"),
        "scores": list(scores),
        "by_class": list(zip(classes.names, *scores.values(), strict=True)),
        "names": classes.names,
        "matrix": list(zip(classes.names, classes.counts.tolist(), strict=True)),
    }
