"""Activations: elementwise functions as layers.

Where a derivative can be written with the function's output, it is: the output is what a network
keeps anyway, so the value may overwrite its input, and one step touches less memory. Of those that
fall and rise again (GELU, SiLU, Mish), more is kept. All of them write into memory that is there.
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

    overwrites_input = needs_output = True

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self._kept, self._slope, self._inner = Kept(dtype), Kept(dtype), Kept(dtype)
        self._zeros, self._positive = Kept(dtype), Kept(np.dtype(bool))

    @abstractmethod
    def value(self, z: Array) -> None:
        """Overwrite `z` with the function's value at `z`."""

    @abstractmethod
    def chain(self, output: Array, gradient: Array) -> None:
        """Multiply `gradient` by the derivative, given the function's own `output`."""

    def steps(self, output: Array) -> Array:
        """Return 1 where the output is above 0, else 0; operations with a mask take far longer."""
        positive = np.greater(output, 0, out=self._positive[output.shape])
        steps: Array = self._slope[output.shape]
        np.copyto(steps, positive)
        return steps

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
        np.maximum(z, np.multiply(z, self.slope, out=self._kept[z.shape]), out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        slope = self.steps(output)
        np.maximum(slope, self.slope, out=slope)
        np.multiply(gradient, slope, out=gradient)


class ELU(Activation):
    """z above 0, exp(z) - 1 below (Clevert, Unterthiner, Hochreiter 2016).

    Just below 0 that is rounded as 1 is: in float64 by at most 1.1e-16, which is up to 1.1e-4 of a
    result of -1e-12; in float32 by 1.2e-7. In float64 weights are those of PyTorch, which has
    `expm1`, within 4e-15 after 1,000 steps.
    """

    # A subclass gives other factors: of everything, and of what lies below 0.
    scale: ClassVar[float] = 1.0
    alpha: ClassVar[float] = 1.0

    def value(self, z: Array) -> None:
        # Of z above 0 this is 0. `expm1` takes ten times as long on processors without AVX-512.
        below = np.minimum(z, self._zeros[z.shape], out=self._kept[z.shape])
        np.exp(below, out=below)
        np.subtract(below, 1, out=below)
        np.multiply(below, self.scale * self.alpha, out=below)
        np.maximum(z, self._zeros[z.shape], out=z)
        np.multiply(z, self.scale, out=z)
        np.add(z, below, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        # Below 0: scale * alpha * exp(z), which is the output plus scale * alpha.
        at_zero = self.scale * self.alpha
        slope = np.minimum(output, self._zeros[output.shape], out=self._kept[output.shape])
        np.add(slope, at_zero, out=slope)
        if at_zero != self.scale:
            steps = self.steps(output)
            np.multiply(steps, self.scale - at_zero, out=steps)
            np.add(slope, steps, out=slope)
        np.multiply(gradient, slope, out=gradient)


class SELU(ELU):
    """ELU with the factors that keep mean 0 and variance 1 (Klambauer et al. 2017)."""

    scale = 1.0507009873554805
    alpha = 1.6732632423543772


class Softplus(Activation):
    """log(1 + exp(z)); derivative 1 - exp(-output)."""

    def value(self, z: Array) -> None:
        tail = np.abs(z, out=self._kept[z.shape])
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        np.log1p(tail, out=tail)
        np.maximum(z, self._zeros[z.shape], out=z)
        np.add(z, tail, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        slope = np.negative(output, out=self._kept[output.shape])
        np.expm1(slope, out=slope)
        np.negative(slope, out=slope)
        np.multiply(gradient, slope, out=gradient)


class Gated(Activation):
    """``z * s``, where s is the sigmoid of an inner function v of z, ``1 / (1 + exp(-v))``.

    The derivative is ``s + output * (1 - s) * dv/dz``. What a subclass keeps for it is in `_inner`.
    At infinity, where no run is that has not diverged, it comes out as NaN and not as 1.
    """

    # Below it the output is 0, or as good as that, and exp(-v) would overflow.
    lowest: ClassVar[float] = -80.0

    @abstractmethod
    def exponential(self, z: Array, out: Array) -> None:
        """Write exp(-v) of inputs that are not below `lowest`."""

    def times_inner_slope(self, slope: Array) -> None:
        """Multiply by dv/dz at the last inputs."""

    def value(self, z: Array) -> None:
        np.maximum(z, self.lowest, out=z)
        divisor = self._kept[z.shape]
        self.exponential(z, divisor)
        np.add(divisor, 1, out=divisor)
        np.divide(z, divisor, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        sigmoid = self._kept[output.shape]
        np.reciprocal(sigmoid, out=sigmoid)
        slope = np.subtract(1, sigmoid, out=self._slope[output.shape])
        np.multiply(slope, output, out=slope)
        self.times_inner_slope(slope)
        np.add(slope, sigmoid, out=slope)
        np.multiply(gradient, slope, out=gradient)


class SiLU(Gated):
    """z * sigmoid(z), also called swish (Elfwing, Uchibe, Doya 2018)."""

    def exponential(self, z: Array, out: Array) -> None:
        np.negative(z, out=out)
        np.exp(out, out=out)


class GELU(Gated):
    """z times the normal distribution at z, by its usual formula with tanh.

    ``0.5 * z * (1 + tanh(v / 2))`` for ``v = 2 * sqrt(2 / pi) * (z + 0.044715 * z**3)`` (Hendrycks,
    Gimpel 2016).
    """

    lowest, highest = -10.0, 10.0
    _factor = 2 * math.sqrt(2 / math.pi)
    _cubic = 0.044715 * _factor

    def exponential(self, z: Array, out: Array) -> None:
        cut = np.minimum(z, self.highest, out=self._inner[z.shape])
        np.square(cut, out=out)
        np.multiply(out, -self._cubic, out=out)
        np.subtract(out, self._factor, out=out)
        np.multiply(out, cut, out=out)
        np.exp(out, out=out)

    def times_inner_slope(self, slope: Array) -> None:
        inner = self._inner[slope.shape]
        np.square(inner, out=inner)
        np.multiply(inner, 3 * self._cubic, out=inner)
        np.add(inner, self._factor, out=inner)
        np.multiply(slope, inner, out=slope)


class Mish(Gated):
    """z * tanh(log(1 + exp(z))) (Misra 2020).

    With ``e = exp(z)`` the tanh is ``1 / (1 + 2 / (e * (e + 2)))``: ``dv/dz = 2 - 2 / (e + 2)``.
    """

    highest: ClassVar[float] = 20.0

    def exponential(self, z: Array, out: Array) -> None:
        e = np.minimum(z, self.highest, out=self._inner[z.shape])
        np.exp(e, out=e)
        np.add(e, 2, out=out)
        np.multiply(out, e, out=out)
        np.divide(2, out, out=out)

    def times_inner_slope(self, slope: Array) -> None:
        inner = self._inner[slope.shape]
        np.add(inner, 2, out=inner)
        np.divide(2, inner, out=inner)
        np.subtract(2, inner, out=inner)
        np.multiply(slope, inner, out=slope)


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
