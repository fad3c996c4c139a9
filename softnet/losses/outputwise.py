"""Losses of each output by itself: of quantities, and of labels that a row has or has not.

Those of quantities are reported as the squared error, whichever is minimized, so that runs can be
compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softnet.losses.base import Loss, LossSettings, mean_of
from softnet.stack.arrays import Array, Kept
from softnet.stack.settings import POSITIVE


class OutputwiseLoss(Loss):
    """A loss that is the mean over a row's outputs, each of which has a target of its own."""

    def __init__(self, dtype: np.dtype[Any], settings: LossSettings | None = None) -> None:
        super().__init__(dtype, settings)
        self._gradient = Kept(dtype)

    def targets(self, y: NDArray[Any], n_outputs: int) -> Array:
        rows: Array = np.asarray(y).reshape(len(y), n_outputs).astype(self.dtype)
        return rows

    def _mean(self, values: Array) -> Array:
        """Return the mean over the outputs, (runs, batch)."""
        total: Array = np.add.reduce(values, axis=-1)
        return np.divide(total, values.shape[-1], out=total)


class SquaredError(OutputwiseLoss):
    """The mean of the squared errors of a row's outputs.

    `y` holds a number for each row, or several: (n_samples, n_outputs).

    Notes
    -----
    With a shift and a scale the network learns ``t = (y - shift) / scale``: what is minimized is
    of t, what is predicted and reported is of y.

    ``loss = mean((z - y)**2)`` over the outputs; the derivative of the batch mean is
    ``2 * (z - y) / (n_outputs * batch)``. There is no factor 1/2: it is PyTorch's `MSELoss`.
    """

    @dataclass(frozen=True)
    class Settings(LossSettings):
        """Settings of a loss of quantities.

        Parameters
        ----------
        shift, scale : float
            Mean and standard deviation of the target, or what else to standardize it with.
        """

        shift: float = 0.0
        scale: float = field(default=1.0, metadata=POSITIVE)

    settings: Settings

    def __init__(self, dtype: np.dtype[Any], settings: LossSettings | None = None) -> None:
        super().__init__(dtype, settings)
        self._is_plain = (self.settings.shift, self.settings.scale) == (0.0, 1.0)

    def targets(self, y: NDArray[Any], n_outputs: int) -> Array:
        rows: Array = np.asarray(y).reshape(len(y), n_outputs)
        if not self._is_plain:
            rows = (rows - self.settings.shift) / self.settings.scale
        return rows.astype(self.dtype)

    def predictions(self, outputs: Array) -> Array:
        """Return the outputs in the units of the target, of the same shape, in float64.

        Where that is no change they are as they are: float32 would lose digits of a shift.
        """
        if self._is_plain:
            return outputs.copy()
        restored: Array = outputs.astype(np.float64) * self.settings.scale + self.settings.shift
        return restored

    def outputs_of(self, predictions: Array) -> Array:
        """Return outputs that say these quantities."""
        if self._is_plain:
            return predictions
        outputs: Array = (predictions - self.settings.shift) / self.settings.scale
        return outputs.astype(self.dtype)

    def row_losses(self, outputs: Array, y: NDArray[Any]) -> Array:
        return self._mean(np.square(self._errors(outputs, y) * self.settings.scale))

    def row_objectives(self, outputs: Array, y: NDArray[Any]) -> Array:
        return self._mean(self.penalties(self._errors(outputs, y)))

    def gradient(self, outputs: Array, targets: Array) -> Array:
        errors: Array = np.subtract(outputs, targets, out=self._gradient[outputs.shape])
        self.slopes(errors)
        np.divide(errors, outputs.shape[-1] * outputs.shape[-2], out=errors)
        return errors

    def penalties(self, errors: Array) -> Array:
        """Return what each error costs, as a new array."""
        squares: Array = np.square(errors)
        return squares

    def slopes(self, errors: Array) -> None:
        """Overwrite errors with the derivative of what they cost."""
        np.multiply(errors, 2, out=errors)

    def _errors(self, outputs: Array, y: NDArray[Any]) -> Array:
        errors: Array = np.subtract(outputs, self.targets(y, outputs.shape[-1]))
        return errors


class AbsoluteError(SquaredError):
    """The mean of the absolute errors: it learns medians. The derivative at an error of 0 is 0."""

    def penalties(self, errors: Array) -> Array:
        return np.abs(errors)

    def slopes(self, errors: Array) -> None:
        np.sign(errors, out=errors)


class Huber(SquaredError):
    """Squared error of small errors, absolute error of large ones (Huber 1964).

    ``e**2 / 2`` where ``|e| <= delta``, else ``delta * (|e| - delta / 2)``; the derivative is the
    error cut to ``[-delta, delta]``.
    """

    @dataclass(frozen=True)
    class Settings(SquaredError.Settings):
        """Further, where it goes over from square to straight, in units of `scale`."""

        delta: float = field(default=1.0, metadata=POSITIVE)

    settings: Settings

    def penalties(self, errors: Array) -> Array:
        delta, sizes = self.settings.delta, np.abs(errors)
        straight = delta * (sizes - 0.5 * delta)
        result: Array = np.where(sizes <= delta, 0.5 * np.square(errors), straight)
        return result

    def slopes(self, errors: Array) -> None:
        np.clip(errors, -self.settings.delta, self.settings.delta, out=errors)


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
