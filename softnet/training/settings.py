"""What a stack of runs is asked to do, and what it tells: settings in, records out.

Plain data, shared by the training loop and by whoever starts it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from softnet.optimizers.base import OptimizerSettings
from softnet.optimizers.schedules import Constant, Schedule
from softnet.stack.arrays import Array, Indices
from softnet.training.early_stopping import EarlyStopping


@dataclass(frozen=True)
class Examples:
    """Rows with their classes: X of shape (n_samples, n_features), y of shape (n_samples,)."""

    X: Array
    y: Indices


@dataclass(frozen=True)
class StackSettings:
    """What all runs of a stack have in common.

    Parameters
    ----------
    layer_sizes : tuple of int
        Features, units of each hidden layer, classes.
    n_steps : int
        Updates of the parameters.
    batch_size : int
        Rows of a batch.
    evaluate_every : int
        Steps between two evaluations; there is one after the last step in any case.
    activation, optimizer, sampling : str
        Keys of `ACTIVATIONS`, `OPTIMIZERS` and `SAMPLINGS`.
    dtype : str
        ``float32`` or ``float64``.
    """

    layer_sizes: tuple[int, ...]
    n_steps: int
    batch_size: int
    evaluate_every: int
    activation: str = "relu"
    optimizer: str = "sgd"
    sampling: str = "shuffled"
    dtype: str = "float64"


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
    initializer : str
        A key of `INITIALIZERS`.
    initializer_scale : float
        Factor on the initial weights.
    early_stopping : EarlyStopping or None
        None trains to the end of the budget.
    """

    seed: int
    optimizer: OptimizerSettings
    schedule: Schedule = field(default_factory=Constant)
    initializer: str = "he"
    initializer_scale: float = 1.0
    early_stopping: EarlyStopping | None = None


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
