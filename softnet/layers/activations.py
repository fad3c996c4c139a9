"""Activations: elementwise functions as layers.

Where a derivative can be written with the function's output, it is: the output is what a network
keeps anyway, so the value may overwrite its input, and one step touches less memory. Of those that
fall and rise again (GELU, SiLU, Mish), the input is kept besides.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from softnet.layers.base import Layer, LayerSettings
from softnet.stack.arrays import Array, Kept


class Activation(Layer):
    """An elementwise function; a subclass says `value` and `chain`.

    Both ways, what is given is overwritten. `chain` follows the `value` of the same step.
    """

    overwrites_input = True

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self._kept, self._zeros, self._positive = Kept(dtype), Kept(dtype), Kept(np.dtype(bool))

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

    def value(self, z: Array) -> None:
        # Of two arrays, NumPy takes the maximum several times faster than of one and a number.
        np.maximum(z, self._zeros[z.shape], out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        positive = np.greater(output, 0, out=self._positive[output.shape])
        np.multiply(gradient, positive, out=gradient)


class Tanh(Activation):
    """tanh(z); derivative 1 - output**2."""

    def value(self, z: Array) -> None:
        np.tanh(z, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        derivative = np.square(output, out=self._kept[output.shape])
        np.subtract(1, derivative, out=derivative)
        np.multiply(gradient, derivative, out=gradient)


class Sigmoid(Activation):
    """1 / (1 + exp(-z)); derivative output * (1 - output).

    Computed as (1 + tanh(z / 2)) / 2, the same function without an exponential that overflows.
    """

    def value(self, z: Array) -> None:
        np.multiply(z, 0.5, out=z)
        np.tanh(z, out=z)
        np.multiply(z, 0.5, out=z)
        np.add(z, 0.5, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        derivative = np.subtract(1, output, out=self._kept[output.shape])
        np.multiply(derivative, output, out=derivative)
        np.multiply(gradient, derivative, out=gradient)


class Identity(Activation):
    """z itself: a deep network with it is still a linear model."""

    def value(self, z: Array) -> None:
        pass

    def chain(self, output: Array, gradient: Array) -> None:
        pass


class LeakyReLU(Activation):
    """z above 0, z / 100 below (Maas, Hannun, Ng 2013)."""

    slope: ClassVar[float] = 0.01

    def value(self, z: Array) -> None:
        np.maximum(z, z * self.slope, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        np.multiply(gradient, self.slope, out=gradient, where=output <= 0)


class ELU(Activation):
    """z above 0, exp(z) - 1 below (Clevert, Unterthiner, Hochreiter 2016)."""

    # A subclass gives other factors: of everything, and of what lies below 0.
    scale: ClassVar[float] = 1.0
    alpha: ClassVar[float] = 1.0

    def value(self, z: Array) -> None:
        below = np.expm1(np.minimum(z, 0))
        np.maximum(z, 0, out=z)
        np.add(z, np.multiply(below, self.alpha, out=below), out=z)
        np.multiply(z, self.scale, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        # Below 0: scale * alpha * exp(z), which is the output plus scale * alpha.
        slope = np.where(output > 0, self.scale, output + self.scale * self.alpha)
        np.multiply(gradient, slope.astype(output.dtype, copy=False), out=gradient)


class SELU(ELU):
    """ELU with the factors that keep mean 0 and variance 1 (Klambauer et al. 2017)."""

    scale = 1.0507009873554805
    alpha = 1.6732632423543772


class Softplus(Activation):
    """log(1 + exp(z)); derivative 1 - exp(-output)."""

    def value(self, z: Array) -> None:
        tail = np.log1p(np.exp(-np.abs(z)))
        np.maximum(z, 0, out=z)
        np.add(z, tail, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        np.multiply(gradient, -np.expm1(-output), out=gradient)


class KeepsInput(Activation):
    """An activation ``z * gate(z)`` whose derivative is told from its input.

    A subclass says `gates`. Beyond `limit` the gate is 0 or 1 to the last bit, so that larger
    inputs are cut to it before they overflow.
    """

    limit: ClassVar[float]

    @abstractmethod
    def gates(self, z: Array) -> Array:
        """Return the gate at inputs that are cut to the limit."""

    @abstractmethod
    def slopes(self, z: Array) -> Array:
        """Return the derivative of ``z * gate(z)`` at inputs that are cut to the limit."""

    def value(self, z: Array) -> None:
        cut = np.clip(z, -self.limit, self.limit, out=self._kept[z.shape])
        np.multiply(z, self.gates(cut), out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        np.multiply(gradient, self.slopes(self._kept[output.shape]), out=gradient)


class SiLU(KeepsInput):
    """z * sigmoid(z), also called swish (Elfwing, Uchibe, Doya 2018)."""

    limit = 1000.0

    def gates(self, z: Array) -> Array:
        gate: Array = np.tanh(0.5 * z)
        return 0.5 + 0.5 * gate

    def slopes(self, z: Array) -> Array:
        gate = self.gates(z)
        return gate * (1 + z * (1 - gate))


class GELU(KeepsInput):
    """z times the normal distribution at z, by its usual formula with tanh.

    ``0.5 * z * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3)))`` (Hendrycks, Gimpel 2016).
    """

    limit = 10.0
    _factor, _cubic = math.sqrt(2 / math.pi), 0.044715

    def gates(self, z: Array) -> Array:
        gate: Array = np.tanh(self._factor * (z + self._cubic * (z * z * z)))
        return 0.5 + 0.5 * gate

    def slopes(self, z: Array) -> Array:
        gate = self.gates(z)
        inner = self._factor * (1 + 3 * self._cubic * (z * z))
        return gate + 2 * z * gate * (1 - gate) * inner


class Mish(KeepsInput):
    """z * tanh(log(1 + exp(z))) (Misra 2020)."""

    limit = 40.0

    def gates(self, z: Array) -> Array:
        # With w = (1 + exp(z))**2 - 1, tanh(log(1 + exp(z))) = w / (w + 2).
        e = np.exp(np.minimum(z, 20))
        w: Array = e * (e + 2)
        return w / (w + 2)

    def slopes(self, z: Array) -> Array:
        gate = self.gates(z)
        sigmoid: Array = np.tanh(0.5 * z)
        sigmoid = 0.5 + 0.5 * sigmoid
        return gate + z * (1 - gate * gate) * sigmoid


ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "identity": Identity,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "softplus": Softplus,
    "silu": SiLU,
    "gelu": GELU,
    "mish": Mish,
}
