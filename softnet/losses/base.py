"""What all losses have: how wrong each row is, and the derivative that training follows.

What is minimized is the mean over a batch's rows, one number per run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from softnet.stack.arrays import Array
from softnet.stack.settings import HasSettings, Settings


@dataclass(frozen=True)
class LossSettings(Settings):
    """What a loss is made from."""

    of: ClassVar[type[Loss]]

    def make(self, dtype: np.dtype[Any]) -> Loss:
        """Return the loss."""
        return self.of(dtype, self)


class Loss(HasSettings, ABC):
    """A loss of a stack of runs: outputs are of shape (runs, batch, n_outputs).

    Parameters
    ----------
    dtype : dtype
        float32 or float64.
    settings : LossSettings or None
        Of this class's `Settings`; None takes its defaults.
    """

    Settings = LossSettings

    def __init__(self, dtype: np.dtype[Any], settings: LossSettings | None = None) -> None:
        self.dtype = dtype
        self.settings = self.Settings() if settings is None else settings

    @abstractmethod
    def targets(self, y: NDArray[Any], n_outputs: int) -> Array:
        """Turn classes or numbers (n_samples, ...) into rows (n_samples, n_targets) for `gradient`.

        In the loss's dtype; once for all training rows, not at each step.
        """

    @abstractmethod
    def row_losses(self, outputs: Array, y: NDArray[Any]) -> Array:
        """Return the loss of each row: what is reported, the same measure for all of a task.

        A new array (runs, batch); `y` is as in `targets`, the same rows in every run.
        """

    def row_objectives(self, outputs: Array, y: NDArray[Any]) -> Array:
        """Return what is minimized of each row, as `row_losses` does, where it is another thing."""
        return self.row_losses(outputs, y)

    @abstractmethod
    def gradient(self, outputs: Array, targets: Array) -> Array:
        """Return the derivative of each run's mean objective with respect to its outputs.

        `targets` are rows (runs, batch, n_targets) that the method made. What is returned, of the
        shape of `outputs`, is overwritten by the next call of the same shape.
        """

    def combine(self, outputs: Array) -> Array:
        """Return outputs that mean the average of the predictions of several members.

        Of (runs, members, batch, n_outputs) it makes (runs, batch, n_outputs).
        """
        return mean_of(outputs)

    @abstractmethod
    def predictions(self, outputs: Array) -> Array:
        """Return what outputs say, for instance probabilities, as a new array."""

    def outputs_of(self, predictions: Array) -> Array:
        """Return outputs that say these predictions; by default they are the predictions."""
        return predictions


def mean_of(members: Array) -> Array:
    """Return the mean over the second axis, summed in its order."""
    total: Array = members[:, 0].copy()
    for member in range(1, members.shape[1]):
        np.add(total, members[:, member], out=total)
    return np.divide(total, members.shape[1], out=total)
