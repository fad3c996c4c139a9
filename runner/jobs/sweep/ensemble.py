"""Averages the best runs of a sweep into one run, chosen on validation rows alone.

The members are one network with `model.n_members`: the run is recorded, predicts, and is exported
and served as any other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config.schema import TrackingConfig
from runner.jobs.plan import PlannedJob
from runner.jobs.rerun.data_access import allowed_folders, with_data_from
from runner.jobs.sweep.candidates import Candidate, networks_of
from runner.jobs.sweep.parent_runs import recorded
from runner.jobs.worker.recording import begin_run, end_run
from runner.jobs.worker.task import Task, TaskJob
from runner.system.errors import CommandError, ConfigError
from runner.system.process import verify_blas_pin
from runner.tracking import MEMBERS, RunQuery, model_name
from runner.tracking.notes import NOTE, run_note
from runner.tracking.records import Record, RecordedModel, StoredRun
from runner.training.choice import difference_on_resamples, greedy, measure_rows
from runner.training.outcome import best_first, part_of
from runner.training.prepare import Prepared, prepared_unchanged
from runner.training.run_files import sha256
from runner.training.train import Result, final_metrics
from softnet import Network, NetworkSettings, higher_is_better, metric_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.config.schema import Experiment
    from runner.tracking import RecordedSweep, Store
    from runner.training.statistics import Summary

# Fewer validation rows say too little for a choice that is made again and again.
_FEWEST_ROWS, _ROUNDS = 100, 50
# What predictions of candidates may take in memory; the best of them have room in any case.
_PREDICTED_BYTES = 256_000_000


@dataclass(frozen=True)
class Tried:
    """The runs from which members were chosen, greedily or as the best."""

    n_runs: int  # those that were trained to the end
    n_pruned: int  # those that a search has stopped
    n_others: int  # those passed over, which have another network or scaling than the best
    is_greedy: bool


@dataclass(frozen=True)
class Ensemble:
    """An ensemble that was recorded as a run.

    `members` are the ids of its runs, each as often as it is one, of `tried`. `final` are its
    metrics. On test rows its metric is higher by `difference` than that of the `best` single run.
    """

    run_id: str
    metric: str
    members: Sequence[str]
    tried: Tried
    final: Mapping[str, float]
    best: Record
    difference: Summary | None


@dataclass(frozen=True)
class _Member:
    """A run that may become a member; `kind` is what members have in common."""

    record: Record
    model: RecordedModel
    kind: object

    @classmethod
    def read(cls, run: StoredRun) -> _Member:
        record = Record.read(run)
        model, experiment = record.model(), record.experiment
        # Both do nothing when predicting.
        changes = {"model": {"dropout": 0.0}, "training": {"label_smoothing": 0.0}}
        predicting = experiment.model_copy(
            update={
                name: getattr(experiment, name).model_copy(update=values)
                for name, values in changes.items()
            }
        )
        return cls(record, model, (model.network(predicting), experiment.dtype, model))

    def weights(self, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, NDArray[Any]]:
        """Read its weights, named as in another one's network: dropout is a layer that counts."""
        return dict(zip(shapes, self.record.unshared_network().weights.values(), strict=True))


def make_ensemble(
    store: Store, sweep: RecordedSweep, n_members: int | None, data: str | None = None
) -> Ensemble:
    """Average the `n_members` best runs of a sweep, and record the average as a run.

    None chooses greedily, each by what it adds to those before it. `data` is where the sweep's own
    file is now. Raises `CommandError`, `ConfigError` or `RecordError` if its runs make no ensemble.
    """
    if n_members == 1:
        raise CommandError("--top: must be 2 or above, since one run makes no ensemble, got 1.")
    verify_blas_pin()
    store.settle()
    runs, n_pruned = _whole_runs(store, sweep)
    alike, n_others = [_Member.read(runs[0])], 0
    for run in runs[1:]:
        if len(alike) == n_members:
            break
        member = _Member.read(run)
        if member.kind == alike[0].kind:
            alike.append(member)
        else:
            n_others += 1
    first = alike[0]
    best = first.record
    if len(alike) == 1:
        raise CommandError(
            f"SWEEP: must have two runs that are alike in layers and scaling, the best one of them,"
            f" got one of {len(runs):,} in {sweep.name!r}."
        )
    digest = best.tags.get("runner.data_digest", "")
    folders = allowed_folders(store.folder if store.address.database else None)
    experiment = with_data_from(best.experiment, data, folders, digest=digest)
    prepared = prepared_unchanged(experiment, digest, lambda: first.model)
    network = best.unshared_network().settings
    if n_members is None:
        positions = _choose_greedily(alike, network, experiment, prepared, sweep.metric)
        alike = [alike[position] for position in positions]
        if len(set(positions)) == 1:
            raise CommandError(
                f"--greedy: no average is better than one run alone, {alike[0].record.run_id}, so"
                " nothing is recorded; --top N averages the best N."
            )
    tried = Tried(len(runs), n_pruned, n_others, n_members is None)
    return _record(store, sweep, alike, network, experiment, prepared, first, tried)


def _whole_runs(store: Store, sweep: RecordedSweep) -> tuple[list[StoredRun], int]:
    """Return the runs of a sweep that were trained to the end, on one split, the best first.

    Beside them stands how many a search has stopped.
    """
    metric = sweep.metric
    if part_of(metric) != "val":
        raise ConfigError("sweep.metric", "of validation rows, which choose the members", metric)
    tags = {"runner.kind": "run", "runner.sweep": sweep.run_id}
    query = RunQuery([store.experiment_id], tags, status="FINISHED")
    finished = [StoredRun(store, run) for run in store.backend.runs(query)]
    runs = [run for run in finished if "runner.pruned" not in run.tags]
    splits = {(r.tags.get("runner.data_digest"), r.tags.get("runner.split_digest")) for r in runs}
    if len(splits) != 1:
        raise CommandError(
            f"SWEEP: must have finished runs on one split, so that none has trained on rows that "
            f"choose, got {len(splits):,} splits in {sweep.name!r}."
        )
    ranked = best_first(
        runs, metric, lambda run: run.final.get(metric), lambda run, name: run.final.get(name)
    )
    return ranked, len(finished) - len(runs)


def _choose_greedily(
    members: Sequence[_Member],
    network: NetworkSettings,
    experiment: Experiment,
    prepared: Prepared,
    metric: str,
) -> list[int]:
    rows, name = prepared.examples("val"), metric.rpartition("/")[2]
    if len(rows.y) < _FEWEST_ROWS:
        raise CommandError(
            f"--greedy: must have at least {_FEWEST_ROWS} validation rows, got {len(rows.y)}; "
            "--top N takes the best."
        )
    # All candidates, their averages, and the sums of these.
    n_bytes = 3 * 8 * len(rows.y) * len(prepared.target.names)
    candidates = [
        Candidate(
            member.record.run_id,
            experiment,
            prepared.dataset.digest,
            member.weights,
            lambda: members[0].model,  # which is alike in all of them
            network,
        )
        for member in members[: max(1, _PREDICTED_BYTES // n_bytes)]
    ]
    stacks = [
        (network, measure_rows(network, rows, lambda loss, outputs, _: loss.predictions(outputs)))
        for _, _, network in networks_of(candidates)
    ]
    loss, measure = stacks[0][0].loss, metric_named(name, prepared.target.labels)

    def measured(averages: NDArray[Any]) -> NDArray[np.float64]:
        values = measure.of_rows(loss, loss.outputs_of(averages), rows.y)
        return measure.total(values, rows.y, rows.shares)

    predictions = np.concatenate([predictions for _, predictions in stacks])
    return greedy(predictions, measured, _ROUNDS, higher_is_better=higher_is_better(metric))


def _record(
    store: Store,
    sweep: RecordedSweep,
    members: Sequence[_Member],
    network: NetworkSettings,
    experiment: Experiment,
    prepared: Prepared,
    first: _Member,
    tried: Tried,
) -> Ensemble:
    """Record the average of some runs, with all that a run leaves; `first` is the best of them."""
    best, shapes = first.record, network.weight_shapes
    weights = [member.weights(shapes) for member in members]
    together, of_all = joined(network, weights)
    model = experiment.model.model_copy(update={"n_members": together.n_members, "share": "none"})
    # Of no training there is no curve to draw.
    tracking = TrackingConfig(figures=False)
    settings = best.experiment.model_copy(update={"model": model, "tracking": tracking})
    averaged, single = (
        Network.from_weights(of_all, together),
        Network.from_weights(first.weights(shapes), network),
    )
    counts = prepared.examples("train", experiment.training.class_weight).weights
    (final,) = final_metrics(averaged, prepared, counts)
    difference = None
    if "test" in prepared.parts:
        measure = metric_named(sweep.metric.rpartition("/")[2], prepared.target.labels)
        rows = prepared.examples("test")
        difference = difference_on_resamples(measure, averaged, single, rows)

    run_ids = [member.record.run_id for member in members]
    job = PlannedJob(
        settings,
        f"ensemble of {len(members)}",
        {"ensemble": str(len(members))},
        sha256("\n".join(["ensemble", *run_ids]).encode()),
        prepared.dataset.digest,
        prepared.split.digest,
    )
    tags = {
        "runner.kind": "ensemble",
        MEMBERS: json.dumps(run_ids),
    }
    as_job = TaskJob(0, job, parent_run_id=sweep.run_id)
    task = Task((as_job,), "ensemble", None, sweep.run_id, tags=tags)
    with recorded(store, partial(begin_run, store, task, as_job), dict) as run:
        now_s = time.time()
        result = Result((), (), final, of_all, 0, None, None, now_s, now_s)
        about = f"{prepared.summary}; val is measured on the rows that chose the members"
        name, where = model_name(settings.name), store.address.shown
        note = run_note(job.name, run.run_id, about, final, name, where, {})
        for _ in end_run(run, store, job, prepared, result, is_alone=True, last_tags={NOTE: note}):
            pass
        run.flush()
    return Ensemble(run.run_id, sweep.metric, run_ids, tried, final, best, difference)


def joined(
    network: NetworkSettings, weights: Sequence[Mapping[str, NDArray[Any]]]
) -> tuple[NetworkSettings, dict[str, NDArray[Any]]]:
    """Return the settings and the weights of one network whose members are some networks."""
    n_members = len(weights) * network.n_members
    if n_members == 1:
        return network, dict(weights[0])
    join = np.concatenate if network.n_members > 1 else np.stack
    of_all = {name: join([each[name] for each in weights]) for name in weights[0]}
    return replace(network, n_members=n_members), of_all
