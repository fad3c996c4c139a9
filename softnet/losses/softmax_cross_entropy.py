"""Losses: how wrong a network's outputs are, and the derivative that training follows.

The loss of a batch is the mean over its rows, one number per run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softnet.stack.arrays import Array, Indices, Kept, Ones

_FEW_CLASSES = 4


class SoftmaxCrossEntropy:
    """Cross-entropy of the softmax of logits, from the logits themselves.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.

    Notes
    -----
    With z a row of logits and c its class: ``loss = log(sum(exp(z - m))) - (z_c - m)`` for
    ``m = max(z)``, which neither overflows nor loses the small probabilities; the derivative of
    the batch mean is ``(softmax(z) - one_hot(c)) / batch``.

    Of many classes, memory holds each in a row (runs, classes, batch): NumPy takes a maximum or a
    sum along that axis several times faster than along a short last one. Of few, it is fastest to
    take one class after the other, for all rows of all runs at once.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
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

    def probabilities(self, logits: Array) -> Array:
        """Return the softmax of logits, both of shape (runs, batch, classes), as a new array."""
        return self._softmax(logits).copy(order="C")

    def row_losses(self, logits: Array, y: Indices) -> Array:
        """Return the loss of each row.

        Parameters
        ----------
        logits : ndarray of shape (runs, batch, classes)
            Outputs of the network.
        y : ndarray of int, shape (batch,)
            Class of each row, the same rows in every run.

        Returns
        -------
        ndarray of shape (runs, batch)
            A new array.
        """
        z = self._shifted(logits)
        chosen = z[:, np.arange(len(y)), y]
        np.exp(z, out=z)
        losses: Array = np.log(self._sum(z)[..., 0])
        return np.subtract(losses, chosen, out=losses)

    def gradient(self, logits: Array, targets: Array) -> Array:
        """Return the derivative of each run's mean loss with respect to its logits.

        Parameters
        ----------
        logits : ndarray of shape (runs, batch, classes)
            Outputs of the network.
        targets : ndarray of shape (runs, batch, classes)
            One-hot rows.

        Returns
        -------
        ndarray of shape (runs, batch, classes)
            Kept: overwritten by the next call of the same shape.
        """
        probabilities = self._softmax(logits)
        d_logits: Array = self._gradient[logits.shape]
        np.subtract(probabilities, targets, out=d_logits)
        n_rows = logits.shape[-2]
        if n_rows not in self._counts:
            # As an array, which NumPy would otherwise make of a Python number at every call.
            self._counts[n_rows] = np.array(n_rows, d_logits.dtype)
        return np.divide(d_logits, self._counts[n_rows], out=d_logits)


def _one_by_one(operation: np.ufunc, values: Array, out: Array) -> Array:
    """Reduce the last axis to length 1, in the order of its elements."""
    out[...] = values[..., :1]
    for number in range(1, values.shape[-1]):
        operation(out, values[..., number : number + 1], out=out)
    return out


def one_hot(y: Indices, n_classes: int, dtype: np.dtype[Any]) -> Array:
    """Return rows with a one at the class, shape (n_samples, n_classes)."""
    return np.eye(n_classes, dtype=dtype)[y]
