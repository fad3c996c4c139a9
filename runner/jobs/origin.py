"""The recorded run from whose weights another one starts: `training.init_from`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, RunnerError, shorten
from runner.tracking import StoreAddress, store_at
from runner.tracking.backend.rows import is_run_id
from runner.tracking.records import Record, RecordedNetwork, find_source
from runner.tracking.records.mlflow_record import stored_run
from runner.training.prepare import Prepared, network_settings
from runner.training.preprocessing import Preprocessing

if TYPE_CHECKING:
    from runner.config.schema import Experiment

_KEY = "training.init_from"
# A store by its ``tracking.uri``, or as a worker is told of it.
Place: TypeAlias = str | StoreAddress | None

# What went on last, from what, and as what: jobs of a sweep share it.
_last: list[tuple[Prepared, RecordedNetwork, Prepared]] = []


def starting_from(
    experiment: Experiment, prepared: Prepared, place: Place
) -> tuple[Experiment, Prepared]:
    """Return an experiment with the digest of the weights that it starts from, and its data.

    Raises `ConfigError` if their run is not in that store, does not fit, or has other weights than
    before.
    """
    prepared = going_on(experiment, prepared, place)
    initial_weights(experiment, prepared, place)
    digest = _origin_of(experiment, place).digest
    training = experiment.training.model_copy(update={"init_sha256": digest})
    return experiment.model_copy(update={"training": training}), prepared


def going_on(experiment: Experiment, prepared: Prepared, place: Place) -> Prepared:
    """Return data encoded and scaled as the run did from whose weights an experiment starts.

    They stay as they are where it draws its weights. Errors are as above.
    """
    if experiment.training.init_from is None:
        return prepared
    origin = _origin_of(experiment, place)
    for before, of, data in _last:
        if before is prepared and of is origin:
            return data
    _require_same_columns(prepared, origin.model.preprocessing)
    data = prepared.learned_by(origin.model.preprocessing, origin.model.target)
    _last[:] = [(prepared, origin, data)]
    return data


def _require_same_columns(prepared: Prepared, theirs: Preprocessing) -> None:
    """Raise `ConfigError` if a run's preprocessing is of other columns, or scales otherwise."""
    ours = prepared.preprocessing
    kinds, before = (
        {n: "words" if n in each.categories else "numbers" for n in each.feature_names}
        for each in (ours, theirs)
    )
    if kinds != before:
        names = [n for n in {**before, **kinds} if kinds.get(n) != before.get(n)]
        got = "; ".join(
            f"{shorten(n, 40)}: {before.get(n, 'none')} there, {kinds.get(n, 'none')} here"
            for n in names[:3]
        )
        hint = "data.columns={number: [a], words: [b]} sets kinds, and leaves none of these out."
        hint = "" if prepared.data is None else f"\n{hint}"
        raise ConfigError.plain(f"{_KEY}: must be a run on the same columns, got {got}.{hint}")
    if ours.feature_names != theirs.feature_names:
        order = ", ".join(ours.feature_names)
        raise ConfigError(_KEY, "a run on the same columns in the same order", order)
    if ours.scaling != theirs.scaling:
        hint = f"data.scaling={theirs.scaling} goes on with its numbers."
        raise ConfigError(_KEY, f"a run with data.scaling={ours.scaling}", theirs.scaling, hint)
    if not theirs.fill and np.isnan(prepared.dataset.X).any():
        rule = "a run that fills missing numbers, which are in these data (data.missing=fill)"
        raise ConfigError(_KEY, rule, "one that does not")


def initial_weights(
    experiment: Experiment, prepared: Prepared, place: Place
) -> Mapping[str, NDArray[Any]]:
    """Return the arrays that an experiment starts from, by name; empty where it draws them all.

    The data are those of `going_on`. The last layer is left out where its outputs stand for other
    classes. Errors are as above.
    """
    if experiment.training.init_from is None:
        return {}
    origin = _origin_of(experiment, place)
    network = network_settings(experiment, prepared.preprocessing, prepared.target)
    head = f"layers.{len(network.layers) - 1}."
    has_other_head = origin.model.target.names != prepared.target.names
    # By their order: a layer that has none of them, such as dropout, counts in the names.
    shapes = network.weight_shapes
    pairs = zip(shapes, origin.weights.items(), strict=False)
    arrays = {
        ours: array
        for ours, (theirs, array) in pairs
        if _kind(ours) == _kind(theirs) and not (has_other_head and ours.startswith(head))
    }
    wanted = {n: s for n, s in shapes.items() if not (has_other_head and n.startswith(head))}
    if len(shapes) != len(origin.weights) or {n: a.shape for n, a in arrays.items()} != wanted:
        raise ConfigError(
            _KEY,
            "a run whose network has the same layers",
            experiment.training.init_from,
            "The settings model.* in its config.yaml fit.",
        )
    return arrays


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _origin_of(experiment: Experiment, place: Place) -> RecordedNetwork:
    """Return the network that an experiment starts from, if its weights are those of before."""
    training = experiment.training
    origin = _origin(str(training.init_from), place, os.getpid())
    if training.init_sha256 not in (None, origin.digest):
        rule = f"the run whose weights have the digest {str(training.init_sha256)[:12]}"
        raise ConfigError(_KEY, rule, f"{training.init_from}, with {origin.digest[:12]}")
    return origin


@lru_cache(maxsize=4)
def _origin(target: str, place: Place, _pid: int) -> RecordedNetwork:
    """Read a record; a forked process opens the store anew."""
    try:
        if isinstance(place, StoreAddress) and is_run_id(target):
            record = Record.read(stored_run(store_at(place), target))
        else:
            record = Record.read(find_source(target, place if isinstance(place, str) else None))
        return record.network()
    except RunnerError as error:
        raise ConfigError.plain(f"{_KEY}: must be a run that left its weights: {error}") from None
