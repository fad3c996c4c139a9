"""The linear layer of the tutorial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.initializers import Initializers
from softnet.stack.arrays import Array, Kept
from softnet.stack.settings import count_from

# BLAS multiplies by a small matrix faster than by the transpose of one. Measured: that is worth a
# copy of up to so many weights for at least so many rows.
_FEW_WEIGHTS = 4096
_MANY_ROWS = 16


class Linear(Layer):
    """``X @ weight + bias``.

    Notes
    -----
    With G the derivative for the output: ``d_weight = X.T @ G``, ``d_bias = ones @ G`` (the sum
    over the batch), ``d_X = G @ weight.T``.

    The bias lies behind the weight in memory, as one more row of it. So rows that end in a one
    take a single product forward, and a single one back: ``(X, 1) @ (weight; bias)``. As the first
    layer it is given such rows in training, for which they are made once.
    """

    takes_ones = True

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """`out_features` is the number of units."""

        out_features: int = field(metadata=count_from(1))

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.out_features = settings.out_features
        self.parameter_shapes = {
            "weight": (in_features, self.out_features),
            "bias": (self.out_features,),
        }
        self._output = Kept(dtype)
        self._d_input = Kept(dtype)
        self._weight_T_copy = Kept(dtype)
        self._X: Array = np.empty(0, dtype)

    def bind(self, values: Array, gradients: Array, statistics: Array) -> None:
        super().bind(values, gradients, statistics)
        self.weight, self._d_weight = self.values["weight"], self.gradients["weight"]
        # One row (runs, 1, out_features), so that it broadcasts over the batch.
        self.bias, self._d_bias = (
            views["bias"][:, None, :] for views in (self.values, self.gradients)
        )
        shape = (len(values), self.in_features + 1, self.out_features)
        self._weight_and_bias, self._d_weight_and_bias = (
            buffer.reshape(shape) for buffer in (values, gradients)
        )
        # Transposed views are made once: making one is no small part of a small product.
        self._weight_T = self.weight.swapaxes(-1, -2)

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        for run, (rng, initializer) in enumerate(zip(rngs, initializers, strict=True)):
            self.weight[run] = initializer(rng, self.weight.shape[1:])

    def forward(self, X: Array, training: bool = False) -> Array:
        # Mostly the very array of the last step, with other numbers in it.
        if X is not self._X:
            self._X, self._X_T = X, X.swapaxes(-1, -2)
        self._has_ones = training and X.shape[-1] == self.in_features + 1
        output: Array = self._output[len(self.weight), X.shape[-2], self.out_features]
        if self._has_ones:
            return np.matmul(X, self._weight_and_bias, out=output)
        np.matmul(X, self.weight, out=output)
        return np.add(output, self.bias, out=output)

    def backward_parameters(self, d_output: Array) -> None:
        if self._has_ones:
            np.matmul(self._X_T, d_output, out=self._d_weight_and_bias)
        else:
            np.matmul(self._X_T, d_output, out=self._d_weight)
            self.sum_of(d_output, self._d_bias)

    def backward(self, d_output: Array) -> Array:
        self.backward_parameters(d_output)
        weight_T = self._weight_T
        n_runs, n_out, n_in = weight_T.shape
        n_rows = d_output.shape[-2]
        if n_out * n_in <= _FEW_WEIGHTS and n_rows >= _MANY_ROWS:
            weight_T = self._weight_T_copy[weight_T.shape]
            np.copyto(weight_T, self._weight_T)
        return np.matmul(d_output, weight_T, out=self._d_input[n_runs, n_rows, n_in])
