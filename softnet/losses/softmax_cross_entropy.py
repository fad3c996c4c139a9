"""The loss of classification: cross-entropy of the softmax."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.losses.base import Loss, LossSettings, mean_of
from softnet.stack.arrays import Array, Indices, Kept
from softnet.stack.settings import FRACTION

_FEW_CLASSES = 4


class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax of logits, from the logits themselves.

    `y` holds the class of each row; the targets are one-hot rows. With label smoothing (Szegedy et
    al. 2016) a share of each row is spread evenly over all classes.

    Notes
    -----
    With z a row of logits and c its class: ``loss = log(sum(exp(z - m))) - (z_c - m)`` for
    ``m = max(z)``, which neither overflows nor loses the small probabilities; the derivative of
    the batch mean is ``(softmax(z) - one_hot(c)) / batch``.

    Inside, memory holds each class in a row, as NumPy takes long rows many times faster than short
    ones: (classes, runs, batch) of few classes, which are taken one after the other, and (runs,
    classes, batch) of many.
    """

    @dataclass(frozen=True)
    class Settings(LossSettings):
        """`label_smoothing` is the share of a row's target that all classes have, in [0, 1)."""

        label_smoothing: float = field(default=0.0, metadata=FRACTION)

    settings: Settings

    def __init__(self, dtype: np.dtype[Any], settings: LossSettings | None = None) -> None:
        super().__init__(dtype, settings)
        self._shifts = Kept(dtype)
        self._row = Kept(dtype)
        self._gradient = Kept(dtype)
        self._ones = Kept(dtype, 1)
        self._counts: dict[int, Array] = {}

    def _shifted(self, logits: Array) -> Array:
        """Return logits less their row's maximum, by class."""
        by_class = _by_class(logits)
        z: Array = self._shifts[by_class.shape]
        np.copyto(z, by_class)
        if logits.shape[-1] <= _FEW_CLASSES:
            m = _one_by_one(np.maximum, z, self._row[z.shape[1:]])
        else:
            m = self._row[len(z), 1, z.shape[-1]]
            np.maximum.reduce(z, axis=-2, keepdims=True, out=m)
        return np.subtract(z, m, out=z)

    def _sum(self, z: Array, n_classes: int) -> Array:
        """Return the sum over the classes, of a shape that broadcasts over them."""
        if n_classes <= _FEW_CLASSES:
            return _one_by_one(np.add, z, self._row[z.shape[1:]])
        total: Array = np.matmul(self._ones[1, n_classes], z, out=self._row[len(z), 1, z.shape[-1]])
        return total

    def _softmax(self, logits: Array) -> Array:
        """Return the probabilities by class; the next call overwrites them."""
        z = self._shifted(logits)
        np.exp(z, out=z)
        return np.divide(z, self._sum(z, logits.shape[-1]), out=z)

    def targets(self, y: Indices, n_outputs: int) -> Array:
        rows, share = one_hot(y, n_outputs, self.dtype), self.settings.label_smoothing
        return rows * (1 - share) + share / n_outputs if share else rows

    def predictions(self, outputs: Array) -> Array:
        """Return the probability of each class, of the shape of `outputs`; rows sum to one."""
        probabilities = np.empty_like(outputs, order="C")
        np.copyto(_by_class(probabilities), self._softmax(outputs))
        return probabilities

    def combine(self, outputs: Array) -> Array:
        shares = [self.predictions(outputs[:, member]) for member in range(outputs.shape[1])]
        return self.outputs_of(mean_of(np.stack(shares, 1)))

    def outputs_of(self, predictions: Array) -> Array:
        """Return logits of these probabilities."""
        logits: Array = np.log(np.maximum(predictions, np.finfo(self.dtype).tiny))
        return logits

    def row_losses(self, outputs: Array, y: Indices) -> Array:
        return self._losses(outputs, y, 0.0)

    def row_objectives(self, outputs: Array, y: Indices) -> Array:
        return self._losses(outputs, y, self.settings.label_smoothing)

    def _losses(self, outputs: Array, y: Indices, share: float) -> Array:
        """Return the loss of each row where all classes alike have this share of its target."""
        n_runs, n_rows, n_classes = outputs.shape
        z = self._shifted(outputs)
        is_few, rows = n_classes <= _FEW_CLASSES, np.arange(n_rows)
        chosen = z[y, :, rows].T if is_few else z[:, y, rows]
        if share:
            mean = np.add.reduce(z, axis=0 if is_few else 1).reshape(n_runs, n_rows) / n_classes
        np.exp(z, out=z)
        logs: Array = np.log(self._sum(z, n_classes).reshape(n_runs, n_rows))
        losses: Array = np.subtract(logs, chosen)
        return (1 - share) * losses + share * (logs - mean) if share else losses

    def gradient(self, outputs: Array, targets: Array) -> Array:
        d_outputs: Array = self._gradient[outputs.shape]
        n_rows = outputs.shape[-2]
        if n_rows not in self._counts:
            # As an array, which NumPy would otherwise make of a Python number at every call.
            self._counts[n_rows] = np.array(n_rows, d_outputs.dtype)
        z = self._softmax(outputs)
        np.subtract(z, _by_class(targets), out=z)
        np.divide(z, self._counts[n_rows], out=_by_class(d_outputs))
        return d_outputs


def _by_class(rows: Array) -> Array:
    """View (runs, batch, classes) with the classes in an axis before that of the batch."""
    return rows.transpose(2, 0, 1) if rows.shape[-1] <= _FEW_CLASSES else rows.swapaxes(-1, -2)


def _one_by_one(operation: np.ufunc, values: Array, out: Array) -> Array:
    """Reduce the first axis, in the order of its elements."""
    result: Array = values[0]
    for other in values[1:]:
        result = operation(result, other, out=out)
    return result


def one_hot(y: Indices, n_classes: int, dtype: np.dtype[Any]) -> Array:
    """Return rows with a one at the class, shape (n_samples, n_classes)."""
    return np.eye(n_classes, dtype=dtype)[y]
