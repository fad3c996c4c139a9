"""The networks that the jobs of a sweep left, rebuilt from the store, and what the best is worth.

Predictions are made again from weights, all runs of one shape in a call for each layer: to store
them with each run would cost more, and for large tables more than the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.jobs.origin import learned_before
from runner.jobs.plan import Plan
from runner.jobs.rerun.data_access import allowed_folders, with_data_from
from runner.system.errors import RecordError
from runner.tracking import RunQuery
from runner.tracking.records import untrusted
from runner.tracking.records.mlflow_record import StoredRun
from runner.training.choice import (
    UNKNOWN,
    expected_of_best,
    measure_resamples,
    measure_rows,
    resamples,
)
from runner.training.outcome import Outcome, part_of
from runner.training.prepare import Learned, Prepared, Trained, prepared_unchanged, require_fit
from runner.training.run_files import WEIGHTS, weights_sha256
from runner.training.statistics import Configuration, Summary
from softnet import Network, NetworkSettings, higher_is_better, metric_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.config.schema import Experiment
    from runner.tracking import Store
    from runner.tracking.backend.rows import Run

    Shapes = Mapping[str, tuple[int, ...]]
    Weights = Callable[[Shapes], Mapping[str, NDArray[Any]]]

# What networks that are rebuilt together take at most, and how many they are.
_STACK_BYTES, _STACK_RUNS = 64_000_000, 256
_DIGEST = "runner.weights_sha256"
# So many runs cost less than a look at all of a sweep's.
_READ_BY_ID = 100
# Resamples, as far as their numbers of rows and of candidates stay below these.
_RESAMPLES, _RESAMPLES_OF_SCORES = (100, 1000), 200
_DRAWN, _MEASURED = 20_000_000, 4_000_000


@dataclass(frozen=True)
class Candidate:
    """A run that has finished, with settings whose data may be read.

    `weights` reads its parameters, given their shapes; a `RecordError` says what is wrong. What
    `learned` reads encodes its data where it goes on from another run. The `network` of a job that
    was planned with its data is known.
    """

    run_id: str
    experiment: Experiment
    data_digest: str
    weights: Weights
    learned: Callable[[], Learned]
    network: NetworkSettings | None = None


def candidates_of(
    store: Store, plan: Plan, outcomes: Mapping[int, Outcome], sweep_id: str
) -> dict[str, Candidate]:
    """Return the finished jobs of a sweep by the ids of their runs."""
    ids = {outcome.run_id for outcome in outcomes.values() if outcome.status == "FINISHED"}
    runs = {run.run_id: _without_settings(run) for run in _runs_of(store, ids, sweep_id)}
    folders, asked = (
        allowed_folders(store.folder if store.address.database else None),
        {*plan.asked},
    )
    found = {}
    for position, outcome in outcomes.items():
        if outcome.status == "FINISHED" and outcome.run_id in runs:
            job, run = plan.jobs[position], StoredRun(store, runs[outcome.run_id])
            experiment = job.experiment
            if position not in asked:  # the plan on record says where its data are
                experiment = with_data_from(experiment, None, folders)
            found[outcome.run_id] = Candidate(
                outcome.run_id,
                experiment,
                job.data_digest,
                weights_in(run, experiment),
                partial(learned_before, experiment, store.place),
                None if job.shape is None else job.shape.settings.network,
            )
    return found


def _runs_of(store: Store, ids: Collection[str], sweep_id: str) -> Iterable[Run]:
    """Read runs of a sweep, as far as they are there: a few by their ids, or all at once."""
    if len(ids) <= _READ_BY_ID:
        found = map(store.backend.run, ids)
        return [run for run in found if run is not None and not run.is_deleted]
    tags = {"runner.kind": "run", "runner.sweep": sweep_id}
    return store.backend.runs(RunQuery([store.experiment_id], tags, has_settings=False))


def _without_settings(run: Run) -> Run:
    """Return a run with what reading its weights takes: there may be a million of them."""
    digest = {key: text for key, text in run.tags.items() if key == _DIGEST}
    return replace(run, params={}, metrics={}, tags=digest)


def weights_in(run: StoredRun, experiment: Experiment) -> Weights:
    """Return what reads the weights of a run that this sweep has recorded."""

    def read(shapes: Shapes) -> Mapping[str, NDArray[Any]]:
        limit = untrusted.weights_limit(shapes, np.dtype(experiment.dtype).itemsize)
        content = run.read(WEIGHTS, limit)
        weights = untrusted.parse_weights(content, shapes, experiment.dtype, WEIGHTS)
        if weights_sha256(weights) != run.tags.get(_DIGEST):
            raise RecordError(f"{run.label}: weights: was edited since it was recorded.")
        return weights

    return read


def networks_of(
    candidates: Sequence[Candidate],
) -> Iterator[tuple[Sequence[Candidate], Prepared, Network]]:
    """Rebuild the networks of some runs, those of one shape on one split as stacks.

    Yields the candidates of each network, in the order of its runs, and the data that they share.
    Raises `ConfigError`, `DataError` or `RecordError` if data have changed since, or a record
    cannot be read.
    """
    by_data: dict[tuple[str, str], list[Candidate]] = {}
    for one in candidates:
        decisive: Any = {"task": True, "data": True, "split": True, "training": {"init_sha256"}}
        settings = one.experiment.model_dump_json(include=decisive)
        by_data.setdefault((one.data_digest, settings), []).append(one)
    for (digest, _), alike in by_data.items():
        first = alike[0]
        prepared = prepared_unchanged(first.experiment, digest, first.learned)
        by_shape: dict[tuple[NetworkSettings, str], list[Candidate]] = {}
        for one in alike:
            network = one.network or require_fit(one.experiment, prepared).network
            by_shape.setdefault((network, one.experiment.dtype), []).append(one)
        for (network, dtype), stack in by_shape.items():
            n_bytes = 2 * network.n_parameters * np.dtype(dtype).itemsize
            at_once = max(1, min(_STACK_RUNS, _STACK_BYTES // n_bytes))
            for start in range(0, len(stack), at_once):
                some = stack[start : start + at_once]
                weights = [one.weights(network.weight_shapes) for one in some]
                yield some, prepared, Network.stacked(weights, network)


def trained(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Trained]]:
    """Go through the networks of some runs with their data; see `networks_of`."""
    for some, prepared, network in networks_of(candidates):
        for run, one in enumerate(some):
            yield one, Trained(prepared, network.weights(run), network.settings)


def expected_on_new_rows(
    tried: Sequence[Configuration], candidates: Mapping[str, Candidate], metric: str
) -> Summary:
    """Return what the best configuration by a metric is expected to be worth on new rows.

    By the bias-corrected bootstrap over the rows that choose; a configuration is the mean over its
    splits, seeds averaged first. NaN where these are training rows, or of several data sets.
    """
    part, name = part_of(metric), metric.rpartition("/")[2]
    shares = {
        run_id: (number, share)
        for number, configuration in enumerate(tried)
        for run_id, share in configuration.shares(metric).items()
    }
    chosen_among = [candidates[run_id] for run_id in shares]
    if part == "train" or len({one.data_digest for one in chosen_among}) != 1:
        return UNKNOWN
    counts: NDArray[np.uint8] | None = None
    sides: NDArray[np.float64] | None = None
    for some, prepared, network in networks_of(chosen_among):
        rows, measure = prepared.examples(part), metric_named(name, prepared.target.labels)
        of_rows = measure_rows(network, rows, measure.of_rows)
        if counts is None or sides is None:
            n_samples, (fewest, most) = len(prepared.dataset.y), _RESAMPLES
            most = most if of_rows.ndim == 2 else _RESAMPLES_OF_SCORES
            fitting = min(_DRAWN // n_samples, _MEASURED // len(tried))
            counts = resamples(n_samples, max(fewest, min(most, fitting)))
            sides = np.zeros((2, len(tried), len(counts)))
        drawn = counts[:, getattr(prepared.split, part)]
        for side, chosen in zip(sides, (drawn, drawn == 0), strict=True):
            values = measure_resamples(measure, of_rows, rows, chosen)
            for one, value in zip(some, values, strict=True):
                number, share = shares[one.run_id]
                side[number] += share * value
    if sides is None:
        return UNKNOWN
    return expected_of_best(*sides, higher_is_better=higher_is_better(metric))
