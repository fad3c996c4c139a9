"""What a sweep leaves on its parent run: tables, the best configuration and its model, figures.

Made from outcomes when the last job has ended.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.plain import to_yaml
from runner.jobs.events import Listener, Notice
from runner.jobs.plan import Plan, PlannedJob, run_name
from runner.jobs.sweep.candidates import (
    Candidate,
    candidates_of,
    expected_on_new_rows,
    trained,
)
from runner.jobs.sweep.refit import refit
from runner.jobs.sweep.spreadsheet import columns, write_csv
from runner.jobs.worker.recording import scratch_folder
from runner.system.errors import ConfigError, DataError, RecordError
from runner.tracking import SweepSummary, count_tags, expected_names, logged, model_facts
from runner.tracking.notes import NOTE, sweep_note
from runner.training.data.arrow import numbers, parquet, strings
from runner.training.outcome import Outcome, by_settings
from runner.training.prepare import Trained, require_fit
from runner.training.run_files import OUT_OF_FOLD, out_of_fold, prediction_table
from runner.training.statistics import (
    MOST_COMPARED,
    Configuration,
    Summary,
    configurations,
    ranked,
)
from runner.training.verdict import pruned_at

if TYPE_CHECKING:
    from runner.tracking import RunWriter, Store, Sweeps
    from runner.tracking.backend.rows import LoggedMetric, ModelFacts
    from softnet import StackSettings

# The table of all jobs, among the artifacts of a sweep's run.
RESULTS = "results.csv"
# Enough for a picture; each curve is a question to the store.
_CONFIGURATIONS_DRAWN, _SEEDS_DRAWN, _RUNS_DRAWN = 5, 100, 300


def store_results(
    run: RunWriter,
    store: Store,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    listener: Listener,
    trained_on: str = "",
) -> SweepSummary:
    """Give a sweep's run all that sums it up.

    Outcomes come by their positions in the plan; the listener hears what could not be added.
    """
    metric = plan.first.ranking_metric
    in_order = sorted(outcomes.values(), key=by_settings)
    best_of_all = ranked(configurations(in_order), metric)
    best = next((each for each in best_of_all if each.outcomes), None)
    ends = Counter(outcome.status for outcome in outcomes.values())
    counts = {"n_finished": ends["FINISHED"] + ends["PRUNED"], "n_failed": ends["FAILED"]}
    counts |= {"n_pruned": ends["PRUNED"]} if ends["PRUNED"] else {}
    run.set_tags(count_tags(counts))
    logs: Sequence[LoggedMetric] = ()
    with scratch_folder() as folder:
        with (folder / RESULTS).open("w", encoding="utf-8", newline="") as file:
            write_csv(in_order, file)
        (folder / "results.parquet").write_bytes(_parquet(in_order))
        if best is not None:
            jobs = {o.run_id: plan.jobs[p] for p, o in outcomes.items()}
            logs = _log_best(run, store.sweeps, best, metric, jobs, folder)
            if plan.first.tracking.figures:
                _draw(store.sweeps, best_of_all, in_order, plan, folder / "figures")
        run.log_folder(folder)
    about = plan.sweep_name, run.run_id, trained_on, in_order, metric
    noted = partial(sweep_note, *about, uri=store.address.shown)
    if best is None:
        run.set_tags({NOTE: noted(SweepSummary())})
        return SweepSummary()

    found: Mapping[str, Candidate] = {}
    expected, summary = None, SweepSummary(search=plan.first.search.name)
    tried = [configuration for configuration in best_of_all if configuration.values(metric)]
    if len(tried) > MOST_COMPARED:
        with _noted(listener, "What the best is worth on new rows is not known"):
            found = candidates_of(store, plan, outcomes, run.run_id)
            expected = _log_expected(run, expected_on_new_rows(tried, found, metric), metric)
    with _noted(listener, "The sweep's run has no model of the best job"):
        runs = {one.run_id for one in best.model_runs(metric)}
        if len(runs) > 1 or plan.first.tracking.model or plan.first.search.refit:
            of_best = {p: outcome for p, outcome in outcomes.items() if outcome.run_id in runs}
            found = found or candidates_of(store, plan, of_best, run.run_id)
            summary = _log_model(run, store, plan, best, found, logs, listener)
    summary = replace(summary, expected=expected)
    run.set_tags({NOTE: noted(summary)})
    return summary


def _log_expected(run: RunWriter, worth: Summary, metric: str) -> tuple[float, ...] | None:
    """Log what the best is expected to be worth on new rows; return it where that is known."""
    values = (worth.mean, worth.low, worth.high)
    run.log_metrics(0, dict(zip(expected_names(metric), values, strict=True)))
    return None if math.isnan(worth.mean) else values


def _log_model(
    run: RunWriter,
    store: Store,
    plan: Plan,
    best: Configuration,
    candidates: Mapping[str, Candidate],
    logs: Sequence[LoggedMetric],
    listener: Listener,
) -> SweepSummary:
    """Log the model of the best configuration, and what it says of rows that it was not fitted to.

    Over several splits it is the average of their networks, after a refit the network of that.
    """
    metric, summary = plan.first.ranking_metric, SweepSummary(search=plan.first.search.name)
    members = [candidates[member.run_id] for member in best.model_runs(metric)]
    networks: dict[str, Trained] = {}
    shapes: list[StackSettings] = []
    facts: list[ModelFacts] = []

    def each() -> Iterator[Trained]:
        for member, network in trained(members):
            data = network.prepared if len(members) == 1 else None
            facts.append(model_facts(member.experiment, logs, data))
            shapes.append(require_fit(member.experiment, network.prepared))
            networks[member.run_id] = network.with_few_rows()  # memory may hold the rows but once
            yield network

    rows, predictions = out_of_fold(each())
    model = [networks[member.run_id] for member in members]
    if len(members) > 1 and len(rows):
        table = prediction_table(model[0].prepared, {"test": predictions}, rows={"test": rows})
        run.log_files({OUT_OF_FOLD: parquet(table)})
    if plan.first.search.refit:
        with _noted(listener, "The best was not trained once more"):
            experiment = members[0].experiment
            last, note = refit(store, run.run_id, best, metric, experiment, shapes)
            summary = replace(summary, refit=last.run_id, note=note)
            model = [network for _, network in trained([last])]
    if plan.first.tracking.model:
        run.flush()  # the metrics that the model's page repeats
        store.log_model(run, *model, facts=facts[0])
        summary = replace(summary, model=facts[0].name)
    return summary


def _log_best(
    run: RunWriter,
    sweeps: Sweeps,
    best: Configuration,
    metric: str,
    jobs: Mapping[str, PlannedJob],
    folder: Path,
) -> Sequence[LoggedMetric]:
    """Log which configuration is the best, and its metrics: of one run, or means over its splits.

    Over several splits no run stands for it: that would be the one with the easiest rows. Metrics
    are at the last step, and of a sweep that was summed up before not before its own: MLflow shows
    the last one.
    """
    members = best.model_runs(metric)
    first = jobs[members[0].run_id].experiment
    (folder / "best.yaml").write_text(to_yaml(first), "utf-8")
    name, metrics = members[0].name, members[0].metrics
    if len(members) > 1:
        name = run_name(first, best.varied)
        means = {each: best.summary(each) for each in metrics}
        metrics = {each: mean.mean for each, mean in means.items() if mean is not None}
    ids = ",".join(member.run_id for member in members)
    run.set_tags({"runner.best_run": ids, "runner.best": name})
    curves = [sweeps.history(one, "train/loss") for one in (members[0].run_id, run.run_id)]
    step = max((step for curve in curves for step, _ in curve), default=0)
    logs = logged(step, metrics, time.time())
    run.change.metrics += logs
    return logs


def _draw(
    sweeps: Sweeps,
    best_of_all: Sequence[Configuration],
    outcomes: Sequence[Outcome],
    plan: Plan,
    folder: Path,
) -> None:
    from runner.figures.sweep import draw_sweep

    metric = plan.first.ranking_metric
    # What was pruned has no value that could stand beside those of whole runs, and has not failed.
    whole = [each for each in best_of_all if each.outcomes or each.failures]
    draw_sweep(whole, metric, _curves(sweeps, whole, metric), folder, plan.sweep_name)
    if any(outcome.status == "PRUNED" for outcome in outcomes):
        _draw_rungs(sweeps, outcomes, metric, folder, plan.sweep_name)


@contextmanager
def _noted(listener: Listener, what: str) -> Iterator[None]:
    """Say what is missing where records or data, which anybody may have changed, are the cause."""
    try:
        yield
    except (ConfigError, DataError, RecordError) as error:
        listener(Notice(f"{what}: {error}"))


def _draw_rungs(
    sweeps: Sweeps, outcomes: Sequence[Outcome], metric: str, folder: Path, title: str
) -> None:
    """Draw the learning curves of a search, as many as can be told apart, alike of each rung."""
    from runner.figures.curves import draw_rungs
    from runner.figures.scales import Measure

    measured = metric.removeprefix("best/")
    curves = [
        (curve, outcome.status == "PRUNED")
        for outcome in of_each_rung(outcomes, _RUNS_DRAWN)
        if (curve := sweeps.history(outcome.run_id, measured))
    ]
    if any(math.isfinite(value) for curve, _ in curves for _, value in curve):
        n = f"{len(curves):,} of {len(outcomes):,} runs, some of each rung"
        notes = [f"dots: pruned, {pruned_at(outcomes)}", n if len(curves) < len(outcomes) else ""]
        draw_rungs(curves, Measure(measured), folder / "rungs.png", f"{title}: rungs", *notes)


def of_each_rung(outcomes: Sequence[Outcome], n: int) -> list[Outcome]:
    """Return at most `n` runs of a search, of each rung and of those to the end alike many."""
    rungs: dict[int | None, list[Outcome]] = {}
    for outcome in outcomes:
        rungs.setdefault(outcome.pruned_at_step, []).append(outcome)
    most = max(1, n // max(1, len(rungs)))
    return [run for runs in rungs.values() for run in runs[:: -(-len(runs) // most)]]


def _curves(
    sweeps: Sweeps, best_of_all: Sequence[Configuration], metric: str
) -> dict[int, list[list[tuple[int, float]]]]:
    """Fetch the learning curves of the best configurations."""
    # What is measured at the end alone has no curve; its like on other rows has.
    measured = metric.removeprefix("best/").replace("test/", "val/")
    return {
        place: [
            curve
            for outcome in configuration.outcomes[:_SEEDS_DRAWN]
            if (curve := sweeps.history(outcome.run_id, measured))
        ]
        for place, configuration in enumerate(best_of_all[:_CONFIGURATIONS_DRAWN])
    }


def _parquet(outcomes: Sequence[Outcome]) -> bytes:
    """Return all outcomes as the content of a Parquet file, numbers as numbers, which sort."""
    table = columns(outcomes)
    texts = {"name", "status", "failure", "run_id"}
    cells: dict[str, Sequence[float | str | None]] = {
        **table.before,
        **table.settings,
        **table.after,
    }
    arrays = {
        name: strings([None if value is None else str(value) for value in values])
        for name, values in cells.items()
    }
    return parquet({name: a if name in texts else numbers(a) for name, a in arrays.items()})
