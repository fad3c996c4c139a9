"""What goes into a training and what comes out of it: settings and records, plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softnet.layers.initializers import He, Initializer
from softnet.metrics import higher_is_better, is_metric
from softnet.network import NetworkSettings
from softnet.optimizers.base import OptimizerSettings
from softnet.optimizers.schedules import Constant, Schedule
from softnet.stack.arrays import Array, Indices
from softnet.stack.settings import NOT_NEGATIVE, Rule, Settings, count_from

_METRIC: Rule = {"a recorded metric such as 'val/loss'": is_metric}
_BETWEEN: Rule = {"a number between 0 and 1, or null": lambda value: 0 < value < 1}


@dataclass(frozen=True)
class Examples:
    """Rows, and what they are known to be.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    y : ndarray of shape (n_samples,) or (n_samples, n)
        What the loss takes: for cross-entropy the class of each row, as a whole number.
    weights : ndarray of shape (n_samples,) or None
        Factor on what is minimized of each row; None is 1 of all. Their mean should be 1, since
        the mean over a batch is that over its rows.
    shares : ndarray of shape (n_samples,) or None
        How much each row counts in metrics, which are weighted means; None is 1 of all.
    """

    X: Array
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    shares: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class StackSettings(Settings):
    """What all runs of a stack have in common.

    Parameters
    ----------
    network : NetworkSettings
        What is trained.
    n_steps : int
        Updates of the parameters.
    batch_size : int
        Rows of a batch.
    evaluate_every : int
        Steps between two evaluations; there is one after the last step in any case.
    optimizer, sampling : str
        Keys of `OPTIMIZERS` and `SAMPLINGS`.
    dtype : str
        ``float32`` or ``float64``.
    metrics : tuple of str
        As `evaluate` takes them, recorded at every evaluation beside the loss; ``objective`` is
        what is minimized on average, of the training rows alone.
    averaging : float or None
        Share that a step keeps of the average of the weights so far, between 0 and 1; the average
        is then what is evaluated and left. None averages nothing.
    labels : tuple of str
        Names of the outputs, for metrics of one of them: ``recall_yes``.
    """

    network: NetworkSettings
    n_steps: int
    batch_size: int
    evaluate_every: int
    optimizer: str = "sgd"
    sampling: str = "shuffled"
    dtype: str = "float64"
    metrics: tuple[str, ...] = ("accuracy",)
    averaging: float | None = field(default=None, metadata=_BETWEEN)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class EarlyStopping(Settings):
    """Stop once `patience` evaluations in a row brought no improvement; keep the best weights.

    Parameters
    ----------
    metric : str
        A recorded metric, for instance ``val/loss``.
    patience : int
        Evaluations without improvement after which the run stops, 1 or above.
    min_delta : float
        What counts as an improvement must be larger than this.
    """

    metric: str = field(default="val/loss", metadata=_METRIC)
    patience: int = field(default=10, metadata=count_from(1))
    min_delta: float = field(default=0.0, metadata=NOT_NEGATIVE)

    def gain(self, value: float, best: float) -> float:
        """Return by how much `value` is better than `best`; above 0 is better."""
        return value - best if higher_is_better(self.metric) else best - value

    @property
    def worst(self) -> float:
        """A value that every finite one improves on."""
        return -math.inf if higher_is_better(self.metric) else math.inf


@dataclass(frozen=True)
class RunSettings:
    """What each run of a stack has for itself.

    Parameters
    ----------
    seed : int
        Source of all its random numbers.
    optimizer : OptimizerSettings
        Of the class that the stack's optimizer names.
    schedule : Schedule
        Factor on the learning rate by step.
    initializer : Initializer
        How its weights start.
    early_stopping : EarlyStopping or None
        None trains to the end of the budget.
    dropout : float
        Rate of the dropout layers that have none of their own.
    initial : mapping of str to ndarray
        Parameters and statistics that are given and not drawn, as `Network.weights` has them.
    """

    seed: int
    optimizer: OptimizerSettings
    schedule: Schedule = field(default_factory=Constant)
    initializer: Initializer = field(default_factory=He)
    early_stopping: EarlyStopping | None = None
    dropout: float = 0.0
    initial: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What is known after `step` updates.

    Parameters
    ----------
    step : int
        Updates taken so far.
    runs : ndarray of int
        The runs still in training, as positions in the stack.
    metrics : dict of str to ndarray
        ``train/loss``, ... of each of `runs`; empty between two evaluations.
    """

    step: int
    runs: Indices
    metrics: dict[str, NDArray[np.float64]]
