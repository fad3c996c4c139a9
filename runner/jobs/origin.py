"""The recorded run from whose weights another one starts: `training.init_from`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, RunnerError, shorten
from runner.tracking import StoreAddress, store_at
from runner.tracking.backend.rows import is_run_id
from runner.tracking.records import Record, RecordedModel, RecordedNetwork, find_source
from runner.tracking.records.mlflow_record import stored_run
from runner.training.prepare import Prepared, network_settings
from runner.training.preprocessing import Preprocessing

if TYPE_CHECKING:
    from runner.config.schema import Experiment, ModelConfig
    from runner.jobs.plan import PlannedJob

_KEY = "training.init_from"
# A store by its ``tracking.uri``, or as a worker is told of it.
Place: TypeAlias = str | StoreAddress | None


def starting_from(
    experiment: Experiment, prepared: Prepared, place: Place
) -> tuple[Experiment, Prepared]:
    """Return an experiment with the digest of the weights that it starts from, and its data.

    These are encoded and scaled as the run with those weights did. Raises `ConfigError` if that run
    is not in that store, does not fit, or has other weights than before.
    """
    origin = _origin_of(experiment, place).network
    _require_same_columns(prepared, origin.model.preprocessing)
    prepared = prepared.encoded_by(origin.model)
    initial_weights(experiment, prepared, place)
    training = experiment.training.model_copy(update={"init_sha256": origin.digest})
    return experiment.model_copy(update={"training": training}), prepared


def learned_before(experiment: Experiment, place: Place) -> RecordedModel:
    """Return what the run has learned of its data from whose weights an experiment starts.

    Errors are as above.
    """
    return _origin_of(experiment, place).network.model


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
    if ours.fill and not theirs.fill and np.isnan(prepared.dataset.X).any():
        rule = "a run that fills missing numbers, which are in these data (data.missing=fill)"
        raise ConfigError(_KEY, rule, "one that does not")


def initial_weights(
    experiment: Experiment, prepared: Prepared, place: Place
) -> Mapping[str, NDArray[Any]]:
    """Return the arrays that an experiment starts from, by name.

    The data are those of `starting_from`. The last layer is left out where its outputs stand for
    other classes. Errors are as above.
    """
    origin = _origin_of(experiment, place)
    network = network_settings(experiment, prepared.preprocessing, prepared.target)
    head = f"layers.{len(network.layers) - 1}."
    has_other_head = origin.network.model.target.names != prepared.target.names
    # By their order: a layer that has none of them, such as dropout, counts in the names.
    pairs = zip(network.weight_shapes.items(), origin.network.weights.values(), strict=False)
    kept = [(n, s, a) for (n, s), a in pairs if not (has_other_head and n.startswith(head))]
    may_differ = {name: getattr(experiment.model, name) for name in ("activation", "dropout")}
    model = origin.settings.model_copy(update=may_differ)
    as_there = experiment.model_copy(update={"model": model})
    if (
        network_settings(as_there, prepared.preprocessing, prepared.target) != network
        # Activations too may have arrays.
        or len(network.weight_shapes) != len(origin.network.weights)
        or any(array.shape != shape for _, shape, array in kept)
    ):
        raise ConfigError(
            _KEY,
            "a run whose network has the same layers",
            experiment.training.init_from,
            "The settings model.* in its config.yaml fit.",
        )
    return {name: array for name, _, array in kept}


def other_rows(job: PlannedJob) -> str | None:
    """Return a warning where rows that validate or test may have trained the run before.

    Errors are as above.
    """
    data, split = _origin_of(job.experiment, job.experiment.tracking.uri).digests
    if (job.data_digest, job.split_digest) == (data, split):
        return None
    what = "another split of these rows" if job.data_digest == data else "other data"
    return (
        f"the run that training.init_from names was trained on {what}: rows that it has seen may "
        "stand in val and test, whose metrics are then better than on new rows"
    )


class _Origin(NamedTuple):
    settings: ModelConfig
    network: RecordedNetwork
    digests: tuple[str, str]  # of its data and its split


def _origin_of(experiment: Experiment, place: Place) -> _Origin:
    """Return the network that an experiment starts from, if its weights are those of before."""
    training = experiment.training
    origin = _read_origin(str(training.init_from), place)
    if training.init_sha256 not in (None, origin.network.digest):
        rule = f"the run whose weights have the digest {str(training.init_sha256)[:12]}"
        raise ConfigError(_KEY, rule, f"{training.init_from}, with {origin.network.digest[:12]}")
    return origin


@lru_cache(maxsize=4)
def _read_origin(target: str, place: Place) -> _Origin:
    try:
        if isinstance(place, StoreAddress) and is_run_id(target):
            record = Record.read(stored_run(store_at(place), target))
        else:
            record = Record.read(find_source(target, place if isinstance(place, str) else None))
        data, split = (record.tags.get(f"runner.{of}_digest", "") for of in ("data", "split"))
        return _Origin(record.experiment.model, record.network(), (data, split))
    except RunnerError as error:
        text = f"{_KEY}: must be a run that left its weights: {error}"
        if not is_run_id(target):
            text += "\nA folder's path begins where the command is given, unless it is absolute."
        raise ConfigError.plain(text) from None
