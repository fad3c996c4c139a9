"""The recorded run from whose weights another one starts: `training.init_from`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from runner.system.errors import ConfigError, RunnerError
from runner.tracking import StoreAddress, store_at
from runner.tracking.backend.rows import is_run_id
from runner.tracking.records import Record, RecordedNetwork, find_source
from runner.tracking.records.mlflow_record import stored_run
from runner.training.prepare import Prepared, network_settings

if TYPE_CHECKING:
    from runner.config.schema import Experiment

_KEY = "training.init_from"
# A store by its ``tracking.uri``, or as a worker is told of it.
Place: TypeAlias = str | StoreAddress | None


def starting_from(experiment: Experiment, prepared: Prepared, place: Place) -> Experiment:
    """Return an experiment with the digest of the weights that it starts from, if there are any.

    Raises `ConfigError` if their run is not in that store, does not fit, or has other weights than
    before.
    """
    if experiment.training.init_from is None:
        return experiment
    initial_weights(experiment, prepared, place)
    digest = _origin(experiment.training.init_from, place, os.getpid()).digest
    training = experiment.training.model_copy(update={"init_sha256": digest})
    return experiment.model_copy(update={"training": training})


def initial_weights(
    experiment: Experiment, prepared: Prepared, place: Place
) -> Mapping[str, NDArray[Any]]:
    """Return the arrays that an experiment starts from, by name; empty where it draws them all.

    The last layer is left out where its outputs stand for other classes. Errors are as above.
    """
    training = experiment.training
    if training.init_from is None:
        return {}
    origin = _origin(training.init_from, place, os.getpid())
    if training.init_sha256 not in (None, origin.digest):
        rule = f"the run whose weights have the digest {str(training.init_sha256)[:12]}"
        raise ConfigError(_KEY, rule, f"{training.init_from}, with {origin.digest[:12]}")
    theirs = origin.model.preprocessing.encoded_feature_names
    if theirs != prepared.preprocessing.encoded_feature_names:
        ours = prepared.preprocessing.encoded_feature_names
        other = [name for name in (*theirs, *ours) if (name in theirs) != (name in ours)]
        raise ConfigError(
            _KEY, "a run on the same features", ", ".join(other[:3]) or "another order"
        )
    network = network_settings(experiment, prepared.preprocessing, prepared.target)
    head = f"layers.{len(network.layers) - 1}."
    has_other_head = origin.model.target.names != prepared.target.names
    shapes = {
        name: shape
        for name, shape in network.weight_shapes.items()
        if not (has_other_head and name.startswith(head))
    }
    arrays = {name: a for name, a in origin.weights.items() if name in shapes}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise ConfigError(_KEY, "a run whose network has the same layers", training.init_from)
    return arrays


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
