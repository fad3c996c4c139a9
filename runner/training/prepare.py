"""Data made ready for training: read, split, encoded, scaled, and checked against the experiment.

Whatever can be wrong with the data is said here, before any run exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runner.config.data import FileData
from runner.system.errors import ConfigError, DataError, shorten
from runner.system.paths import expanded
from runner.training.data import Dataset, load
from runner.training.data.dataset import memory_bytes
from runner.training.data.splits import Split, split_rows
from runner.training.data.uninformative import uninformative
from runner.training.preprocessing import Preprocessing
from runner.training.tasks import TASKS
from softnet import INITIALIZERS, Examples, RunSettings, StackSettings, steps_per_epoch

if TYPE_CHECKING:
    from runner.config.schema import Experiment

# Arrays of the size of all parameters that a run needs at most: values, gradients, scratch, two
# of Adam's and its column arithmetic while training; then those that are kept as the result.
_COPIES_OF_PARAMETERS = 10


@dataclass(frozen=True)
class Prepared:
    """Data ready for training.

    Parameters
    ----------
    dataset : Dataset
        As it was read.
    split : Split
        Row indices.
    preprocessing : Preprocessing
        Fitted on the training rows.
    X : ndarray of shape (n_samples, n_features)
        All rows, encoded and scaled, in float64.
    data : FileData or None
        The settings of a person's file, in which nothing is left open: reading by them finds the
        same.
    left_out : mapping of str to str
        The columns of a file that say nothing, each with the reason.
    """

    dataset: Dataset
    split: Split
    preprocessing: Preprocessing
    X: NDArray[np.float64]
    data: FileData | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def examples(self, part: str) -> Examples:
        """Return the rows of ``train``, ``val`` or ``test``."""
        rows = getattr(self.split, part)
        return Examples(self.X[rows], self.dataset.y[rows])

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits that have rows."""
        return tuple(p for p in ("train", "val", "test") if len(getattr(self.split, p)))


def prepare(experiment: Experiment) -> Prepared:
    """Read, split, encode and scale the data of an experiment.

    Raises
    ------
    DataError
        If the data cannot be used.
    ConfigError
        If the split does not fit the data.
    """
    data = experiment.data
    dataset = load(data)
    split = split_rows(experiment.split, dataset.y, dataset.class_names)
    if not isinstance(data, FileData):
        preprocessing = Preprocessing.fit(dataset, split.train, data.scaling)
        return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))
    are_chosen = data.features is not None or data.columns is not None
    left_out = uninformative(dataset, split.train, are_chosen=are_chosen)
    dataset = dataset.without(left_out)
    if not dataset.feature_names:
        raise DataError(
            f"{dataset.source}: must have a feature that says anything, got "
            f"{', '.join(f'{shorten(name, 40)} ({why})' for name, why in left_out.items())}. "
            "data.features takes columns as they are."
        )
    preprocessing = Preprocessing.fit(
        dataset, split.train, data.scaling, data.max_categories, fills=data.missing == "fill"
    )
    X = preprocessing.transform(dataset.X)
    return Prepared(dataset, split, preprocessing, X, _as_read(data, dataset, left_out), left_out)


def _as_read(data: FileData, dataset: Dataset, left_out: Mapping[str, str]) -> FileData:
    """Return the settings of a file with what was found out in reading it."""
    reading = dataset.reading
    if reading is None or data.columns is not None:
        return data.model_copy(update=reading.settings) if reading else data
    kinds = {name: "out" if name in left_out else kind for name, kind in reading.kinds.items()}
    columns = {
        kind: tuple(name for name in kinds if kinds[name] == kind)
        for kind in sorted({*kinds.values()})
    }
    return data.model_copy(update={**reading.settings, "columns": columns})


# What this process prepared last, and from what. Forked processes inherit it.
_last: tuple[object, object, Prepared] | None = None


def prepared(experiment: Experiment) -> Prepared:
    """Return the data of an experiment as `prepare` does; the last ones are kept.

    A file that somebody has written to since is read again.
    """
    global _last  # noqa: PLW0603  (one process trains on the same data again and again)
    rest = experiment.split, _stamp(experiment)
    # A job that has been planned has settings in which nothing is left open.
    is_last = _last is not None and experiment.data in (_last[0], _last[2].data)
    if _last is None or not is_last or _last[1] != rest:
        _last = experiment.data, rest, prepare(experiment)
    return _last[2]


def prepared_unchanged(experiment: Experiment, digest: str) -> Prepared:
    """Return the prepared data of an experiment that was planned with data of this digest.

    Raises
    ------
    DataError
        If they have changed since, or for what `prepare` raises it.
    """
    last = prepared(experiment)
    dataset = last.dataset
    if dataset.digest != digest:
        raise DataError(
            f"{dataset.source}: has changed since the sweep was planned "
            f"(its digest was {digest[:12]}, and is {dataset.digest[:12]})."
        )
    return last


def _stamp(experiment: Experiment) -> object:
    """Return what changes when somebody writes to the file that the data are read from."""
    if experiment.data.name != "file":
        return None
    try:
        file = expanded(experiment.data.path).stat()
    except (OSError, ValueError):  # ValueError: a null character; reading says what is wrong
        return None
    return file.st_mtime_ns, file.st_size, file.st_ino


def require_fit(experiment: Experiment, prepared: Prepared) -> StackSettings:
    """Check what an experiment asks against its data, and return what its stack shares.

    Raises
    ------
    ConfigError
        If a batch is larger than the training set, the warm-up longer than the training, or the
        network larger than the memory: said before anything of it is allocated.
    """
    n_train, batch_size = len(prepared.split.train), experiment.training.batch_size
    if batch_size > n_train:
        rule = f"at most {n_train}, the number of training rows"
        raise ConfigError("training.batch_size", rule, batch_size)
    n_classes = len(prepared.dataset.class_names)
    settings = stack_settings(experiment, prepared.X.shape[1], n_classes, n_train)
    warmup_steps = experiment.schedule.settings().warmup_steps
    if warmup_steps >= settings.n_steps:
        rule = f"below {settings.n_steps:,}, the number of steps"
        raise ConfigError("schedule.warmup_steps", rule, warmup_steps)
    count = settings.network.n_parameters
    needed = count * _COPIES_OF_PARAMETERS * np.dtype(settings.dtype).itemsize
    if needed > memory_bytes():
        raise ConfigError.plain(
            f"model.hidden_layer_sizes: {count:,} parameters need about {_gigabytes(needed)} of "
            f"memory, and this machine has {_gigabytes(memory_bytes())}."
        )
    return settings


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"


def stack_settings(
    experiment: Experiment, n_features: int, n_classes: int, n_train: int
) -> StackSettings:
    """Return what all runs of a stack share.

    A budget in epochs is turned into steps here, and so is the interval between evaluations,
    which counts in the unit of the budget.
    """
    training = experiment.training
    unit = 1 if training.epochs is None else steps_per_epoch(n_train, training.batch_size)
    return StackSettings(
        network=TASKS["classification"].network(experiment, n_features, n_classes),
        n_steps=training.budget * unit,
        batch_size=training.batch_size,
        evaluate_every=training.evaluate_every * unit,
        optimizer=experiment.optimizer.name,
        sampling=training.sampling,
        dtype=experiment.dtype,
        averaging=training.averaging,
    )


def run_settings(experiment: Experiment) -> RunSettings:
    """Return what a run of a stack has for itself."""
    model, stopping = experiment.model, experiment.training.early_stopping
    return RunSettings(
        seed=experiment.seed,
        optimizer=experiment.optimizer.settings(),
        schedule=experiment.schedule.settings(),
        initializer=INITIALIZERS[model.initializer](model.initializer_scale),
        early_stopping=None if stopping is None else stopping.settings(),
    )
