"""What MLflow's page of a run says first, in Markdown: what was run, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from runner.config.plain import as_override_text, flatten
from runner.system.formatting import count, number
from runner.tracking.queries import SweepSummary
from runner.training.outcome import PARTS, Outcome, further_metrics, varied_values
from runner.training.paper import markdown_table, markdown_text, paper_table
from runner.training.verdict import pruned_at, remarks

# MLflow's tag of the description of a run.
NOTE = "mlflow.note.content"
_ROWS, _COLUMNS, _VALUES = 10, 6, 6
# What a person asks of a run first.
_SECTIONS = ("model", "optimizer", "training", "seed")
_OFF: tuple[object, ...] = (None, False, 0, [], {}, "none")


def run_note(
    name: str,
    run_id: str,
    trained_on: str,
    final: Mapping[str, float],
    model: str,
    uri: str,
    settings: Mapping[str, object],
) -> str:
    """Describe a run alone: its data and settings, its final metrics by part, and commands for it.

    `model` names the model that it is to have, if any, in the store `uri`; `settings` are its
    config, of which a line each says what the network is and how it is trained.
    """
    said = [
        f"- `{section}`: {_section(values)}"
        for section in _SECTIONS
        if (values := settings.get(section)) is not None
    ]
    names = [metric.partition("/")[2] for metric in final if metric.startswith("train/")]
    names = [n for n in names if not n.startswith(("precision_", "recall_", "objective"))]
    rows = [
        [part, *(number(n, final.get(f"{part}/{n}")) for n in names[:_COLUMNS])]
        for part in (*PARTS, *_baselines(final))
        if f"{part}/loss" in final
    ]
    table = markdown_table(["", *names[:_COLUMNS]], rows, n_texts=1)
    return _page(
        f"**{markdown_text(name)}**: {trained_on}",
        # Of a long note MLflow shows the beginning.
        table,
        said,
        _commands(run_id, run_id, model, uri),
    )


def _baselines(final: Mapping[str, float]) -> dict[str, None]:
    """Return the parts that a baseline was measured on: what its metrics begin with."""
    names = (name for name in final if name.startswith("baseline/"))
    return dict.fromkeys(name.rpartition("/")[0] for name in names)


def _section(values: object) -> str:
    """Write a section of a config on a line, without what is off."""
    if not isinstance(values, Mapping):
        return markdown_text(as_override_text(values))
    on = {key: value for key, value in flatten(values).items() if value not in _OFF}
    return markdown_text(" ".join(f"{k}={as_override_text(v)}" for k, v in on.items()))


def sweep_note(
    name: str,
    run_id: str,
    trained_on: str,
    outcomes: Sequence[Outcome],
    metric: str,
    summary: SweepSummary,
    uri: str,
) -> str:
    """Describe a sweep: what came of it, what varied, and the commands for it."""
    values = varied_values(outcome.varied for outcome in outcomes)
    varied = [f"- `{key}`: {_listed(distinct)}" for key, distinct in values.items()]
    n_failed = sum(outcome.status == "FAILED" for outcome in outcomes)
    failed = f", {n_failed:,} failed" if n_failed else ""
    table = _results(outcomes, metric)
    return _page(
        f"**{markdown_text(name)}**: {count(len(outcomes), 'run')}{failed}. {trained_on}",
        *map(markdown_text, remarks(outcomes, metric, summary.expected, summary.search)),
        f"The best by {metric}{_with_interval(table)}:" if table else "",
        table,
        varied,
        f"Trained once more as run {summary.refit}: {summary.note}" if summary.refit else "",
        _commands(name, run_id, summary.model, uri) if table else "",
    )


def group_note(name: str, metric: str, outcomes: Sequence[Outcome]) -> str:
    """Describe one configuration over its seeds and splits."""
    table, ends = _results(outcomes, metric), pruned_at(outcomes)
    none = f", pruned: {ends}." if ends else ", none finished."
    came = f"{_with_interval(table)}:" if table else none
    runs = count(len(outcomes), "run")
    has_best = any(f"best/{metric}" in outcome.metrics for outcome in outcomes)
    kept = (
        f"Early stopping kept earlier weights: {metric} here is of these, a run's best/{metric};"
        f" {metric} of a run is of its last evaluation."
    )
    return _page(
        f"One configuration of **{markdown_text(name)}**, {runs}{came}",
        table,
        markdown_text(kept) if table and has_best else "",
    )


def _with_interval(table: Sequence[str]) -> str:
    return ", mean ± half of the 95 % interval" if any("±" in row for row in table) else ""


def _results(outcomes: Sequence[Outcome], metric: str) -> list[str]:
    """Return the table of the best configurations; nothing where no run has finished."""
    recorded = dict.fromkeys(
        name for outcome in outcomes if outcome.status == "FINISHED" for name in outcome.metrics
    )
    metrics = [metric, *further_metrics(recorded, metric)]
    return paper_table(outcomes, metrics, _ROWS, "markdown") if recorded else []


def _commands(target: str, run_id: str, model: str, uri: str) -> list[str]:
    lines = [f"runner rerun {target} --check", f"runner predict {target} FILE.csv"]
    if model:
        lines.append(serve_command(uri, f"runs:/{run_id}/{model}"))
    return ["```", *lines, "```"]


def serve_command(uri: str, model: str) -> str:
    """Return the command that serves a model of a store, named by its MLflow address."""
    store = shlex.quote(uri)
    return f"MLFLOW_TRACKING_URI={store} mlflow models serve -m {model} --env-manager local"


def _listed(values: Sequence[str]) -> str:
    shown = [*values[: _VALUES - 1], "...", values[-1]] if len(values) > _VALUES else values
    return markdown_text(", ".join(shown))


def _page(*blocks: str | Sequence[str]) -> str:
    """Join paragraphs, and the lines of lists, tables and code; empty ones are left out."""
    return "\n\n".join(b if isinstance(b, str) else "\n".join(b) for b in blocks if b)
