"""One stack of runs, from a config to trained weights: data, split, scaling, training, test.

Whatever can be wrong with the data is said by `prepare`, before any run exists. Nothing here
knows where results go.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.build import run_settings, stack_settings
from runner.data import Dataset, load
from runner.environment import verify_blas_pin
from runner.errors import ConfigError
from runner.preprocess import Preprocessing
from runner.splits import Split, split_rows
from softnet import (
    Examples,
    Network,
    Record,
    StackSettings,
    Training,
    evaluate,
    n_parameters,
    steps_per_epoch,
)

if TYPE_CHECKING:
    from runner.config import Experiment

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
    """

    dataset: Dataset
    split: Split
    preprocessing: Preprocessing
    X: NDArray[np.float64]

    def examples(self, part: str) -> Examples:
        """Return the rows of ``train``, ``val`` or ``test``."""
        rows = getattr(self.split, part)
        return Examples(self.X[rows], self.dataset.y[rows])

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits that have rows."""
        return tuple(p for p in ("train", "val", "test") if len(getattr(self.split, p)))


@dataclass(frozen=True)
class Result:
    """What one trained run left.

    Parameters
    ----------
    history : tuple of (int, mapping)
        Metrics by step, one entry per evaluation.
    final : mapping
        Metrics of the weights that were kept: of each split (``test/accuracy``), and with early
        stopping ``best/*``.
    weights : mapping of str to ndarray
        Parameters by name.
    n_steps, steps_per_epoch : int
        Updates taken, and how many make an epoch.
    stopped_early : bool
        Whether the run ended before its budget because it had stopped improving.
    best_step : int or None
        Step of the weights that were kept; None without early stopping.
    failure : str or None
        Why the run was given up.
    training_s : float
        Seconds that its stack trained.
    """

    history: tuple[tuple[int, Mapping[str, float]], ...]
    final: Mapping[str, float]
    weights: Mapping[str, NDArray[Any]]
    n_steps: int
    steps_per_epoch: int
    stopped_early: bool
    best_step: int | None
    failure: str | None
    training_s: float

    @property
    def weights_sha256(self) -> str:
        """SHA-256 over the parameters' bytes, in their order."""
        digest = hashlib.sha256()
        for array in self.weights.values():
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def prepare(experiment: Experiment) -> Prepared:
    """Read, split, encode and scale the data of an experiment.

    Raises
    ------
    DataError
        If the data cannot be used.
    ConfigError
        If the split does not fit the data.
    """
    dataset = load(experiment.data)
    split = split_rows(experiment.split, dataset.y, dataset.class_names)
    preprocessing = Preprocessing.fit(dataset, split.train, experiment.data.scaling)
    return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))


def require_fit(experiment: Experiment, prepared: Prepared) -> StackSettings:
    """Check what an experiment asks against the data that it has, and return it in numbers.

    Raises
    ------
    ConfigError
        If a batch is larger than the training set, the warm-up longer than the training, or the
        network larger than the memory: said before anything of it is allocated.
    """
    n_train = len(prepared.split.train)
    if experiment.training.batch_size > n_train:
        raise ConfigError(
            "training.batch_size",
            f"at most {n_train}, the number of training rows",
            experiment.training.batch_size,
        )
    n_classes = len(prepared.dataset.class_names)
    settings = stack_settings(experiment, prepared.X.shape[1], n_classes, n_train)
    warmup_steps = experiment.schedule.settings().warmup_steps
    if warmup_steps >= settings.n_steps:
        rule = f"below {settings.n_steps:,}, the number of steps"
        raise ConfigError("schedule.warmup_steps", rule, warmup_steps)
    count = n_parameters(settings.layer_sizes)
    needed = count * _COPIES_OF_PARAMETERS * np.dtype(settings.dtype).itemsize
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise ConfigError.plain(
            f"model.hidden_layer_sizes: {count:,} parameters need about {_gigabytes(needed)} of "
            f"memory, and this machine has {_gigabytes(there)}."
        )
    return settings


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"


def train(
    prepared: Prepared,
    experiments: Sequence[Experiment],
    on_record: Callable[[Record], None] | None = None,
) -> list[Result]:
    """Train experiments of equal shape on the same data as one stack.

    Parameters
    ----------
    prepared : Prepared
        The data of all of them.
    experiments : sequence of Experiment
        One per run; they may differ in whatever `softnet.RunSettings` holds.
    on_record : callable, optional
        Called with each record while the training goes on.

    Returns
    -------
    list of Result
        One per experiment, in their order.
    """
    verify_blas_pin()
    started = time.perf_counter()
    # One stack has one shape; unpacking fails where a caller has put together what differs.
    (settings,) = {require_fit(experiment, prepared) for experiment in experiments}
    watched = {part: prepared.examples(part) for part in prepared.parts if part != "test"}
    training = Training(settings, [run_settings(e) for e in experiments], watched)
    histories: list[list[tuple[int, Mapping[str, float]]]] = [[] for _ in experiments]
    for record in training:
        if on_record is not None:
            on_record(record)
        if record.metrics:
            for row, run in enumerate(record.runs):
                values = {name: float(column[row]) for name, column in record.metrics.items()}
                histories[run].append((record.step, values))

    network = training.trained_network()
    finals = _final_metrics(network, prepared)
    seconds = time.perf_counter() - started
    results = []
    for run, (history, final) in enumerate(zip(histories, finals, strict=True)):
        best_step = int(training.best_steps[run])
        if best_step >= 0:
            best = next(values for step, values in history if step == best_step)
            final |= {f"best/{name}": value for name, value in best.items()}
            final["best/step"] = float(best_step)
        results.append(
            Result(
                history=tuple(history),
                final=final,
                weights=network.weights(run),
                n_steps=int(training.n_steps[run]),
                steps_per_epoch=steps_per_epoch(len(prepared.split.train), settings.batch_size),
                stopped_early=bool(training.stopped_early[run]),
                best_step=best_step if best_step >= 0 else None,
                failure=training.failures[run],
                training_s=seconds,
            )
        )
    return results


def _final_metrics(network: Network, prepared: Prepared) -> list[dict[str, float]]:
    """Measure the weights that were kept on every split, the test rows once and here only."""
    finals: list[dict[str, float]] = [{} for _ in range(network.parameters.n_runs)]
    for part in prepared.parts:
        rows = prepared.examples(part)
        X = np.ascontiguousarray(rows.X, network.dtype)
        with np.errstate(all="ignore"):  # a run that diverged has no finite outputs
            measured = evaluate(network, X, rows.y)
        for name, values in measured.items():
            for run, value in enumerate(values):
                finals[run][f"{part}/{name}"] = float(value)
    return finals
