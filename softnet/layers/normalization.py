"""Layers that bring numbers to mean 0 and variance 1: over a batch, or over a row's features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.initializers import Initializers
from softnet.stack.arrays import Array, Kept
from softnet.stack.settings import FRACTION, POSITIVE


class Normalization(Layer):
    """``normalized(X) * weight + bias``, with a weight and a bias for each feature."""

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.parameter_shapes = {"weight": (in_features,), "bias": (in_features,)}
        self.normalized: Array = np.empty(0, dtype)
        self._normalized, self._scratch, self._output = Kept(dtype), Kept(dtype), Kept(dtype)

    def bind(self, values: Array, gradients: Array, statistics: Array) -> None:
        super().bind(values, gradients, statistics)
        # One row (runs, 1, features), so that they broadcast over the batch.
        self._weight, self._d_weight, self._bias, self._d_bias = (
            views[name][:, None, :]
            for name in ("weight", "bias")
            for views in (self.values, self.gradients)
        )

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        self.values["weight"][:] = 1

    def _affine(self) -> Array:
        """Return the output that belongs to `normalized`."""
        shape = (len(self._weight), *self.normalized.shape[1:])
        output: Array = np.multiply(self.normalized, self._weight, out=self._output[shape])
        return np.add(output, self._bias, out=output)

    def _write_gradients(self, d_output: Array) -> Array:
        """Write `gradients`; return the terms of the weight's, (runs, batch, features)."""
        terms: Array = self._scratch[d_output.shape]
        np.multiply(d_output, self.normalized, out=terms)
        self.sum_of(terms, self._d_weight)
        self.sum_of(d_output, self._d_bias)
        return terms


class BatchNorm(Normalization):
    """Each feature is brought to mean 0 and variance 1 over the rows of a batch.

    Notes
    -----
    In training by the batch's own mean and variance (divided by its rows), through which the
    gradient goes; in evaluation by their running means, which each run keeps as its statistics.
    As in PyTorch the running variance is the unbiased one, divided by the rows less one. A batch
    of one row has no variance: its output is the bias. After Ioffe, Szegedy (2015).
    """

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """`momentum` is the batch's share in running means, `epsilon` is added to a variance."""

        momentum: float = field(default=0.1, metadata=FRACTION)
        epsilon: float = field(default=1e-5, metadata=POSITIVE)

    settings: Settings

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.statistic_shapes = {"mean": (in_features,), "variance": (in_features,)}

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        super().initialize(rngs, initializers)
        self.statistics["variance"][:] = 1

    def forward(self, X: Array, training: bool = False) -> Array:
        n_rows, shape = X.shape[-2], (len(self._weight), *X.shape[1:])
        mean, variance = (self.statistics[name][:, None] for name in ("mean", "variance"))
        if training:
            mean = self.sum_of(X) / n_rows
        self.normalized = np.subtract(X, mean, out=self._normalized[shape])
        if training:
            squares = np.square(self.normalized, out=self._scratch[shape])
            variance = self.sum_of(squares) / n_rows
            unbiased = variance * (n_rows / max(n_rows - 1, 1))
            share = self.settings.momentum
            for name, of_batch in (("mean", mean), ("variance", unbiased)):
                kept = self.statistics[name]
                kept[:] = (1 - share) * kept + share * of_batch[:, 0]
        self._spread = np.sqrt(variance + self.settings.epsilon)
        np.divide(self.normalized, self._spread, out=self.normalized)
        return self._affine()

    def backward(self, d_output: Array) -> Array:
        self._write_gradients(d_output)
        n_rows = d_output.shape[-2]
        along = np.multiply(self.normalized, self._d_weight / n_rows, out=self.normalized)
        np.subtract(d_output, along, out=d_output)
        np.subtract(d_output, self._d_bias / n_rows, out=d_output)
        np.multiply(d_output, self._weight / self._spread, out=d_output)
        return d_output


class LayerNorm(Normalization):
    """Each row is brought to mean 0 and variance 1 over its features (Ba, Kiros, Hinton 2016)."""

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """`epsilon`, above 0, is added to the variance."""

        epsilon: float = field(default=1e-5, metadata=POSITIVE)

    settings: Settings

    def _mean(self, X: Array, factors: Array | None = None) -> Array:
        """Return the mean of each row, (runs, batch, 1), perhaps of its numbers times `factors`."""
        factors = self._ones[1, self.in_features] if factors is None else factors
        total: Array = np.matmul(X, factors.swapaxes(-1, -2))
        return np.divide(total, self.in_features, out=total)

    def forward(self, X: Array, training: bool = False) -> Array:
        self.normalized = np.subtract(X, self._mean(X), out=self._normalized[X.shape])
        squares = np.square(self.normalized, out=self._scratch[X.shape])
        self._rate = 1 / np.sqrt(self._mean(squares) + self.settings.epsilon)
        np.multiply(self.normalized, self._rate, out=self.normalized)
        return self._affine()

    def backward(self, d_output: Array) -> Array:
        # The mean of slopes is a product with the weight, and so is that of slopes * normalized.
        along = self._mean(self._write_gradients(d_output), self._weight)
        means = self._mean(d_output, self._weight)
        slopes = d_output
        np.multiply(slopes, self._weight, out=slopes)
        # Rows may be shared by all runs, so that `normalized` is too small for the products.
        along = np.multiply(self.normalized, along, out=self._scratch[slopes.shape])
        np.subtract(slopes, along, out=slopes)
        np.subtract(slopes, means, out=slopes)
        np.multiply(slopes, self._rate, out=slopes)
        return slopes
