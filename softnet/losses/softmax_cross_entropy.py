"""The loss of classification: cross-entropy of the softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from softnet.losses.base import Loss, LossSettings
from softnet.stack.arrays import Array, Indices, Kept, Ones

_FEW_CLASSES = 4


class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax of logits, from the logits themselves.

    `y` holds the class of each row; the targets are one-hot rows.

    Notes
    -----
    With z a row of logits and c its class: ``loss = log(sum(exp(z - m))) - (z_c - m)`` for
    ``m = max(z)``, which neither overflows nor loses the small probabilities; the derivative of
    the batch mean is ``(softmax(z) - one_hot(c)) / batch``.

    Of many classes, memory holds each in a row (runs, classes, batch): NumPy takes a maximum or a
    sum along that axis several times faster than along a short last one. Of few, it is fastest to
    take one class after the other, for all rows of all runs at once.
    """

    def __init__(self, dtype: np.dtype[Any], settings: LossSettings | None = None) -> None:
        super().__init__(dtype, settings)
        self._shifts = Kept(dtype)
        self._row = Kept(dtype)
        self._gradient = Kept(dtype)
        self._ones = Ones(dtype)
        self._counts: dict[int, Array] = {}

    def _shifted(self, logits: Array) -> Array:
        """Return logits less their row's maximum, in the same shape."""
        n_runs, n_rows, n_classes = logits.shape
        if n_classes <= _FEW_CLASSES:
            m = _one_by_one(np.maximum, logits, self._row[n_runs, n_rows, 1])
            z: Array = np.subtract(logits, m, out=self._shifts[logits.shape])
            return z
        rows: Array = self._shifts[n_runs, n_classes, n_rows]
        np.copyto(rows, logits.swapaxes(-1, -2))
        m = np.maximum.reduce(rows, axis=-2, keepdims=True, out=self._row[n_runs, 1, n_rows])
        return np.subtract(rows, m, out=rows).swapaxes(-1, -2)

    def _sum(self, z: Array) -> Array:
        """Return the sum over the classes, of shape (runs, batch, 1)."""
        n_runs, n_rows, n_classes = z.shape
        if n_classes <= _FEW_CLASSES:
            return _one_by_one(np.add, z, self._row[n_runs, n_rows, 1])
        rows = z.swapaxes(-1, -2)
        total: Array = np.matmul(self._ones[n_classes], rows, out=self._row[n_runs, 1, n_rows])
        return total.swapaxes(-1, -2)

    def _softmax(self, logits: Array) -> Array:
        """Return the probabilities, in the same shape; the next call overwrites them."""
        z = self._shifted(logits)
        np.exp(z, out=z)
        return np.divide(z, self._sum(z), out=z)

    def targets(self, y: Indices, n_outputs: int) -> Array:
        return one_hot(y, n_outputs, self.dtype)

    def predictions(self, outputs: Array) -> Array:
        """Return the probability of each class, of the shape of `outputs`; rows sum to one."""
        return self._softmax(outputs).copy(order="C")

    def row_losses(self, outputs: Array, y: Indices) -> Array:
        z = self._shifted(outputs)
        chosen = z[:, np.arange(len(y)), y]
        np.exp(z, out=z)
        losses: Array = np.log(self._sum(z)[..., 0])
        return np.subtract(losses, chosen, out=losses)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        probabilities = self._softmax(outputs)
        d_outputs: Array = self._gradient[outputs.shape]
        np.subtract(probabilities, targets, out=d_outputs)
        n_rows = outputs.shape[-2]
        if n_rows not in self._counts:
            # As an array, which NumPy would otherwise make of a Python number at every call.
            self._counts[n_rows] = np.array(n_rows, d_outputs.dtype)
        return np.divide(d_outputs, self._counts[n_rows], out=d_outputs)


def _one_by_one(operation: np.ufunc, values: Array, out: Array) -> Array:
    """Reduce the last axis to length 1, in the order of its elements."""
    out[...] = values[..., :1]
    for number in range(1, values.shape[-1]):
        operation(out, values[..., number : number + 1], out=out)
    return out


def one_hot(y: Indices, n_classes: int, dtype: np.dtype[Any]) -> Array:
    """Return rows with a one at the class, shape (n_samples, n_classes)."""
    return np.eye(n_classes, dtype=dtype)[y]
