"""The loss of several labels at once, each of which a row has or has not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from softnet.losses.base import mean_of
from softnet.losses.regression import OutputwiseLoss
from softnet.stack.arrays import Array


class BinaryCrossEntropy(OutputwiseLoss):
    """Cross-entropy of a sigmoid for each output, from the logits themselves.

    `y` holds a 0 or 1 for each output: (n_samples, n_outputs), or (n_samples,) for one.

    Notes
    -----
    With z a logit and t its label: ``loss = max(z, 0) - z * t + log(1 + exp(-|z|))``, which does
    not overflow, as the mean over the outputs; the derivative of the batch mean is
    ``(sigmoid(z) - t) / (n_outputs * batch)``.
    """

    def predictions(self, outputs: Array) -> Array:
        """Return the probability of each label, of the shape of `outputs`."""
        return _sigmoid(outputs, np.empty_like(outputs))

    def combine(self, outputs: Array) -> Array:
        return self.outputs_of(mean_of(self.predictions(outputs)))

    def outputs_of(self, predictions: Array) -> Array:
        """Return logits of these probabilities."""
        ends = np.finfo(self.dtype).tiny, 1 - np.finfo(self.dtype).epsneg
        p = np.clip(predictions, *ends)
        logits: Array = np.log(p) - np.log1p(-p)
        return logits

    def row_losses(self, outputs: Array, y: NDArray[Any]) -> Array:
        targets = self.targets(y, outputs.shape[-1])
        tails = np.log1p(np.exp(-np.abs(outputs)))
        return self._mean(np.maximum(outputs, 0) - outputs * targets + tails)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        d_outputs = _sigmoid(outputs, self._gradient[outputs.shape])
        np.subtract(d_outputs, targets, out=d_outputs)
        np.divide(d_outputs, outputs.shape[-1] * outputs.shape[-2], out=d_outputs)
        return d_outputs


def _sigmoid(logits: Array, out: Array) -> Array:
    """Write 1 / (1 + exp(-z)) as (1 + tanh(z / 2)) / 2, whose exponential does not overflow."""
    np.multiply(logits, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)
