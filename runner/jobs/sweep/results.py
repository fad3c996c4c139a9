"""What a sweep leaves on its parent run: tables, the best configuration and its model, figures.

Made from outcomes when the last job has ended.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.plain import to_yaml
from runner.jobs.events import Listener, Notice
from runner.jobs.plan import Plan, PlannedJob
from runner.jobs.sweep.spreadsheet import columns, write_csv
from runner.jobs.worker.recording import scratch_folder
from runner.system.errors import ConfigError, DataError, RecordError
from runner.tracking import expected_names
from runner.training.outcome import Outcome, by_settings
from runner.training.prepare import prepared_unchanged, require_fit
from runner.training.statistics import (
    MOST_COMPARED,
    Configuration,
    best_run,
    configurations,
    ranked,
)

if TYPE_CHECKING:
    from runner.tracking import RunWriter, Store, Sweeps

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
) -> tuple[tuple[float, ...] | None, bool]:
    """Give a sweep's run all that sums it up.

    Return what its best is expected to be worth, and whether the run has the model of that.
    Outcomes come by their positions in the plan; the listener hears what could not be added.
    """
    metric, tracking = plan.first.ranking_metric, plan.first.tracking
    in_order = sorted(outcomes.values(), key=by_settings)
    best_of_all = ranked(configurations(in_order), metric)
    best = best_run(in_order, metric)
    jobs = {o.run_id: plan.jobs[position] for position, o in outcomes.items()}
    ends = Counter(outcome.status for outcome in outcomes.values())
    counts = {"n_finished": ends["FINISHED"] + ends["PRUNED"], "n_failed": ends["FAILED"]}
    run.log_metrics(0, counts | ({"n_pruned": ends["PRUNED"]} if ends["PRUNED"] else {}))
    with scratch_folder() as folder:
        with (folder / RESULTS).open("w", encoding="utf-8", newline="") as file:
            write_csv(in_order, file)
        _write_parquet(in_order, folder / "results.parquet")
        if best is not None:
            (folder / "best.yaml").write_text(to_yaml(jobs[best.run_id].experiment), "utf-8")
            if tracking.figures:
                from runner.figures.sweep import draw_sweep

                curves = _curves(store.sweeps, best_of_all, metric)
                draw_sweep(best_of_all, metric, curves, folder / "figures", plan.sweep_name)
            if tracking.figures and ends["PRUNED"]:
                _draw_rungs(store.sweeps, in_order, metric, folder / "figures", plan.sweep_name)
            run.set_tags({"runner.best_run": best.run_id, "runner.best": best.name})
            run.log_metrics(0, best.metrics)
        run.log_folder(folder)
    expected = None
    if best is not None:
        try:
            expected = _log_expected(run, store, plan, outcomes, best_of_all)
        except (ConfigError, DataError, RecordError) as error:
            listener(Notice(f"What the best is worth on new rows is not known: {error}"))
    if best is not None and tracking.model:
        try:
            _log_model(run, store, plan, jobs[best.run_id], best.run_id)
        except (ConfigError, DataError, RecordError) as error:
            listener(Notice(f"The sweep's run has no model of the best job: {error}"))
        else:
            return expected, True
    return expected, False


def _log_expected(
    run: RunWriter,
    store: Store,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    best_of_all: Sequence[Configuration],
) -> tuple[float, ...] | None:
    """Log what the best of more than two configurations is expected to be worth on new rows."""
    from runner.jobs.sweep.candidates import candidates_of, expected_on_new_rows

    metric = plan.first.ranking_metric
    tried = [configuration for configuration in best_of_all if configuration.values(metric)]
    if len(tried) <= MOST_COMPARED:
        return None
    candidates = candidates_of(store, plan, outcomes, run.run_id)
    expected = expected_on_new_rows(tried, candidates, metric)
    values = (expected.mean, expected.low, expected.high)
    run.log_metrics(0, dict(zip(expected_names(metric), values, strict=True)))
    return None if math.isnan(expected.mean) else values


def _log_model(run: RunWriter, store: Store, plan: Plan, job: PlannedJob, job_run_id: str) -> None:
    """Log the model of a job, whose record and data may have been changed by anybody since.

    Raises
    ------
    ConfigError, DataError, RecordError
        If they were, or cannot be read.
    """
    from runner.jobs.rerun.data_access import allowed_folders, with_data_from
    from runner.tracking.records import Record
    from runner.tracking.records.mlflow_record import stored_run

    experiment = job.experiment
    if job not in (plan.jobs[position] for position in plan.asked):
        # The plan on record says where its data are.
        here = store.folder if store.address.database else None
        experiment = with_data_from(experiment, None, allowed_folders(here))
    prepared = prepared_unchanged(experiment, job.data_digest)
    network = require_fit(experiment, prepared).network
    # A job that an earlier version ran has no digests to hold its record against.
    record = Record.read(stored_run(store, job_run_id), admits_earlier=True)
    weights = record.weights(network.weight_shapes)
    if record.edits:
        raise RecordError(f"{record.source.label}: {record.edits[0]}.")
    store.log_model(run, prepared, weights, network)


def _draw_rungs(
    sweeps: Sweeps, outcomes: Sequence[Outcome], metric: str, folder: Path, title: str
) -> None:
    """Draw the learning curves of the runs of a search, as many as can be told apart."""
    from runner.figures.curves import draw_rungs
    from runner.figures.scales import Measure

    measured = metric.removeprefix("best/")
    drawn = sorted(outcomes, key=lambda outcome: -(outcome.pruned_at_step or math.inf))
    curves = [
        (curve, outcome.status == "PRUNED")
        for outcome in drawn[:_RUNS_DRAWN]
        if (curve := sweeps.history(outcome.run_id, measured))
    ]
    if any(math.isfinite(value) for curve, _ in curves for _, value in curve):
        n = f"{len(curves):,} of {len(outcomes):,} runs, those that came furthest"
        heading, notes = f"{title}: rungs", [n] if len(curves) < len(outcomes) else []
        draw_rungs(curves, Measure(measured), folder / "rungs.png", heading, *notes)


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


def _write_parquet(outcomes: Sequence[Outcome], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    def column(values: Sequence[float | str | None], *kinds: pa.DataType) -> pa.Array:
        # For a list, pa.array would load pandas, which takes longer than recording 200 runs.
        builder = pa.lib.StringBuilder()
        builder.append_values([None if value is None else str(value) for value in values])
        texts = builder.finish()
        for kind in kinds:
            with suppress(pa.ArrowInvalid):
                return texts.cast(kind)
        return texts

    table = columns(outcomes)
    texts = {"name", "status", "failure", "run_id"}
    numbers = pa.int64(), pa.float64()  # which sort as numbers
    every: dict[str, Sequence[float | str | None]] = {
        **table.before,
        **table.settings,
        **table.after,
    }
    cells = {
        name: column(values, *(() if name in texts else numbers)) for name, values in every.items()
    }
    parquet.write_table(pa.table(cells), path)
