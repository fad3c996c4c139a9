"""Layers: what each computes forward, and how the loss's derivative goes back through it.

A layer sees a stack of runs: arrays of shape (runs, batch, features), one run's numbers never
mixing with another's. It remembers from `forward` what `backward` needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from softnet.layers.activations import Nonlinearity
from softnet.stack.arrays import Array, Kept, Ones

# BLAS multiplies by a small matrix faster than by the transpose of one. Measured: that is worth a
# copy of up to so many weights for at least so many rows.
_FEW_WEIGHTS = 4096
_MANY_ROWS = 16


class Layer(Protocol):
    """One step of a network."""

    @property
    def parameter_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each parameter of one run, by name."""
        ...

    def bind(self, values: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Take the views (runs, *shape) of this layer's parameters and of their gradients."""
        ...

    def forward(self, X: Array) -> Array:
        """Map (runs, batch, in_features) to (runs, batch, out_features)."""
        ...

    def backward_parameters(self, d_output: Array) -> None:
        """Write the parameters' gradients.

        `d_output` is the derivative of the loss with respect to this layer's output.
        """
        ...

    def backward(self, d_output: Array) -> Array:
        """Write the parameters' gradients, and return the derivative for the input.

        `d_output` may be overwritten.
        """
        ...


class Linear:
    """The layer of the tutorial: ``X @ weight + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Features of a row before and after.
    dtype : dtype
        float32 or float64.

    Notes
    -----
    With G the derivative with respect to the output: ``d_weight = X.T @ G``,
    ``d_bias = ones @ G`` (the sum over the batch), ``d_X = G @ weight.T``.
    """

    def __init__(self, in_features: int, out_features: int, dtype: np.dtype[Any]) -> None:
        self.parameter_shapes = {
            "weight": (in_features, out_features),
            "bias": (out_features,),
        }
        self._output = Kept(dtype)
        self._d_input = Kept(dtype)
        self._ones = Ones(dtype)
        self._weight_T_copy = Kept(dtype)
        self._X: Array = np.empty(0, dtype)

    def bind(self, values: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.weight, self._d_weight = values["weight"], gradients["weight"]
        # One row (runs, 1, out_features), so that it broadcasts over the batch.
        self.bias, self._d_bias = values["bias"][:, None, :], gradients["bias"][:, None, :]
        # Transposed views are made once: making one is no small part of a small product.
        self._weight_T = self.weight.swapaxes(-1, -2)

    def forward(self, X: Array) -> Array:
        n_runs, _, out_features = self.weight.shape
        # Mostly the very array of the last step, with other numbers in it.
        if X is not self._X:
            self._X, self._X_T = X, X.swapaxes(-1, -2)
        output = np.matmul(X, self.weight, out=self._output[n_runs, X.shape[-2], out_features])
        return np.add(output, self.bias, out=output)

    def backward_parameters(self, d_output: Array) -> None:
        np.matmul(self._X_T, d_output, out=self._d_weight)
        np.matmul(self._ones[d_output.shape[-2]], d_output, out=self._d_bias)

    def backward(self, d_output: Array) -> Array:
        self.backward_parameters(d_output)
        weight_T = self._weight_T
        _, n_out, n_in = weight_T.shape
        if n_out * n_in <= _FEW_WEIGHTS and d_output.shape[-2] >= _MANY_ROWS:
            weight_T = self._weight_T_copy[weight_T.shape]
            np.copyto(weight_T, self._weight_T)
        return np.matmul(d_output, weight_T, out=self._d_input[self._X.shape])


class Activation:
    """An elementwise nonlinearity as a layer. It overwrites what it is given, in both ways.

    Parameters
    ----------
    function : softnet.layers.activations.Nonlinearity
        The nonlinearity.
    """

    parameter_shapes: Mapping[str, tuple[int, ...]] = {}

    def __init__(self, function: Nonlinearity) -> None:
        self.function = function

    def bind(self, values: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        pass

    def forward(self, X: Array) -> Array:
        self.function.value(X)
        self._output = X
        return X

    def backward_parameters(self, d_output: Array) -> None:
        pass

    def backward(self, d_output: Array) -> Array:
        self.function.chain(self._output, d_output)
        return d_output
