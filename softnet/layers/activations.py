"""Activations: elementwise functions as layers.

A derivative is written with the function's output because the output is what a network keeps
anyway; so the value may overwrite its input, and one step touches less memory.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from softnet.layers.base import Layer, LayerSettings
from softnet.stack.arrays import Array, Kept, Zeros


class Activation(Layer):
    """An elementwise function whose derivative can be told from its output.

    A subclass says `value` and `chain`. Both ways, what is given is overwritten.
    """

    overwrites_input = True

    @abstractmethod
    def value(self, z: Array) -> None:
        """Overwrite `z` with the function's value at `z`."""

    @abstractmethod
    def chain(self, output: Array, gradient: Array) -> None:
        """Multiply `gradient` by the derivative, given the function's own `output`."""

    def forward(self, X: Array, training: bool = False) -> Array:
        self.value(X)
        self._output = X
        return X

    def backward(self, d_output: Array) -> Array:
        self.chain(self._output, d_output)
        return d_output


class ReLU(Activation):
    """max(z, 0); derivative 1 where the output is above 0, else 0 (at 0 too)."""

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self._zeros = Zeros(dtype)
        self._positive = Kept(np.dtype(bool))

    def value(self, z: Array) -> None:
        # Of two arrays, NumPy takes the maximum several times faster than of one and a number.
        np.maximum(z, self._zeros[z.shape], out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        positive = np.greater(output, 0, out=self._positive[output.shape])
        np.multiply(gradient, positive, out=gradient)


class Tanh(Activation):
    """tanh(z); derivative 1 - output**2."""

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self._derivative = Kept(dtype)

    def value(self, z: Array) -> None:
        np.tanh(z, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        derivative = np.square(output, out=self._derivative[output.shape])
        np.subtract(1, derivative, out=derivative)
        np.multiply(gradient, derivative, out=gradient)


class Sigmoid(Activation):
    """1 / (1 + exp(-z)); derivative output * (1 - output).

    Computed as (1 + tanh(z / 2)) / 2, the same function without an exponential that overflows.
    """

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self._derivative = Kept(dtype)

    def value(self, z: Array) -> None:
        np.multiply(z, 0.5, out=z)
        np.tanh(z, out=z)
        np.multiply(z, 0.5, out=z)
        np.add(z, 0.5, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        derivative = np.subtract(1, output, out=self._derivative[output.shape])
        np.multiply(derivative, output, out=derivative)
        np.multiply(gradient, derivative, out=gradient)


class Identity(Activation):
    """z itself: a deep network with it is still a linear model."""

    def value(self, z: Array) -> None:
        pass

    def chain(self, output: Array, gradient: Array) -> None:
        pass


ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "identity": Identity,
}
