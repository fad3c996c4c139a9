"""Losses: how wrong a network's outputs are, and the derivative that training follows.

The loss of a batch is the mean over its rows, one number per run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softnet.arrays import Array, Indices, Kept, Ones


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

    Internally classes stand on the second-last axis: NumPy takes a maximum or a sum along it
    several times faster than along a short last axis.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._columns = Kept(dtype)
        self._row = Kept(dtype)
        self._gradient = Kept(dtype)
        self._ones = Ones(dtype)
        self._counts: dict[int, Array] = {}

    def _shifted(self, logits: Array) -> Array:
        """Return logits less their row's maximum, of shape (runs, classes, batch)."""
        n_runs, n_rows, n_classes = logits.shape
        z: Array = self._columns[n_runs, n_classes, n_rows]
        np.copyto(z, logits.swapaxes(-1, -2))
        m: Array = self._row[n_runs, 1, n_rows]
        np.maximum.reduce(z, axis=-2, keepdims=True, out=m)
        return np.subtract(z, m, out=z)

    def _softmax(self, logits: Array) -> Array:
        """Return the probabilities, of shape (runs, classes, batch)."""
        z = self._shifted(logits)
        np.exp(z, out=z)
        n_runs, n_classes, n_rows = z.shape
        total = np.matmul(self._ones[n_classes], z, out=self._row[n_runs, 1, n_rows])
        return np.divide(z, total, out=z)

    def probabilities(self, logits: Array) -> Array:
        """Return the softmax of logits, both of shape (runs, batch, classes), as a new array."""
        return np.ascontiguousarray(self._softmax(logits).swapaxes(-1, -2))

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
        chosen = z[:, y, np.arange(len(y))]
        np.exp(z, out=z)
        total: Array = np.add.reduce(z, axis=-2)
        return np.subtract(np.log(total, out=total), chosen, out=total)

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
        np.subtract(probabilities.swapaxes(-1, -2), targets, out=d_logits)
        n_rows = logits.shape[-2]
        if n_rows not in self._counts:
            # As an array, which NumPy would otherwise make of a Python number at every call.
            self._counts[n_rows] = np.array(n_rows, d_logits.dtype)
        return np.divide(d_logits, self._counts[n_rows], out=d_logits)


def one_hot(y: Indices, n_classes: int, dtype: np.dtype[Any]) -> Array:
    """Return rows with a one at the class, shape (n_samples, n_classes)."""
    return np.eye(n_classes, dtype=dtype)[y]
