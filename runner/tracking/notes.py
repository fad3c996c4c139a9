"""What MLflow's page of a run says first, in Markdown: what was run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.system.formatting import count, interval, number
from runner.tracking.queries import SweepSummary
from runner.training.outcome import Outcome, further_metrics
from runner.training.paper import markdown_table, markdown_text, paper_table

# MLflow's tag of the description of a run.
NOTE = "mlflow.note.content"
_ROWS, _COLUMNS, _VALUES = 10, 6, 6


def run_note(
    name: str, run_id: str, trained_on: str, final: Mapping[str, float], model: str
) -> str:
    """Describe a run alone: its data, its final metrics by part, and the commands for it.

    `model` names the model that it is to have, if any.
    """
    names = [metric.partition("/")[2] for metric in final if metric.startswith("train/")]
    names = [n for n in names if not n.startswith(("precision_", "recall_", "objective"))]
    rows = [
        [part, *(number(n, final.get(f"{part}/{n}")) for n in names[:_COLUMNS])]
        for part in ("train", "val", "test")
        if f"{part}/loss" in final
    ]
    table = markdown_table(["", *names[:_COLUMNS]], rows, n_texts=1)
    return _page(
        f"**{markdown_text(name)}**: {trained_on}", table, _commands(run_id, run_id, model)
    )


def sweep_note(
    name: str,
    run_id: str,
    trained_on: str,
    outcomes: Sequence[Outcome],
    metric: str,
    summary: SweepSummary,
) -> str:
    """Describe a sweep: what varied, its best configurations, and the commands for it."""
    values: dict[str, dict[str, None]] = {}
    for outcome in outcomes:
        for key, value in outcome.varied.items():
            values.setdefault(key, {})[value] = None
    varied = [f"- `{key}`: {_listed([*distinct])}" for key, distinct in values.items()]
    n_failed = sum(outcome.status == "FAILED" for outcome in outcomes)
    failed = f", {n_failed:,} failed" if n_failed else ""
    table, expected = _results(outcomes, metric), summary.expected
    return _page(
        f"**{markdown_text(name)}**: {count(len(outcomes), 'run')}{failed}. {trained_on}",
        varied,
        f"The best by {metric}, mean ± half of the 95 % interval:" if table else "",
        table,
        f"Expected on new rows: {metric} {interval(*expected)}." if expected else "",
        f"Trained once more as run {summary.refit}: {summary.note}" if summary.refit else "",
        _commands(name, run_id, summary.model) if table else "",
    )


def group_note(name: str, metric: str, outcomes: Sequence[Outcome]) -> str:
    """Describe one configuration over its seeds and splits."""
    table = _results(outcomes, metric)
    came = "mean ± half of the 95 % interval:" if table else "none finished."
    runs = count(len(outcomes), "run")
    return _page(f"One configuration of **{markdown_text(name)}**, {runs}, {came}", table)


def _results(outcomes: Sequence[Outcome], metric: str) -> list[str]:
    """Return the table of the best configurations; nothing where no run has finished."""
    recorded = dict.fromkeys(
        name for outcome in outcomes if outcome.status == "FINISHED" for name in outcome.metrics
    )
    metrics = [metric, *further_metrics(recorded, metric)]
    return paper_table(outcomes, metrics, _ROWS, "markdown") if recorded else []


def _commands(target: str, run_id: str, model: str) -> list[str]:
    lines = [f"runner rerun {target} --check", f"runner predict {target} FILE.csv"]
    if model:
        lines.append(f"mlflow models serve -m runs:/{run_id}/{model} --env-manager local")
    return ["```", *lines, "```"]


def _listed(values: Sequence[str]) -> str:
    shown = [*values[: _VALUES - 1], "...", values[-1]] if len(values) > _VALUES else values
    return markdown_text(", ".join(shown))


def _page(*blocks: str | Sequence[str]) -> str:
    """Join paragraphs, and the lines of lists, tables and code; empty ones are left out."""
    return "\n\n".join(b if isinstance(b, str) else "\n".join(b) for b in blocks if b)
