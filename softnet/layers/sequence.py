"""Layers one after the other: a network's body, and residual blocks within one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.initializers import Initializers
from softnet.stack.arrays import Array, Kept
from softnet.stack.parameters import columns, numbered
from softnet.stack.randomness import Noise
from softnet.stack.settings import NOT_EMPTY, require


class Sequential(Layer):
    """Layers in their order: the output of each is the input of the next."""

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """`layers` are the settings of the layers in their order."""

        layers: tuple[LayerSettings, ...] = field(metadata=NOT_EMPTY)

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.layers: list[Layer] = []
        for inner in settings.layers:
            self.layers.append(inner.make(self.out_features, dtype))
            self.out_features = self.layers[-1].out_features
        self.parameter_shapes = numbered([layer.parameter_shapes for layer in self.layers])
        self.statistic_shapes = numbered([layer.statistic_shapes for layer in self.layers])
        self.is_random = any(layer.is_random for layer in self.layers)
        # What it returns may be the output of any of its layers, handed through by those behind it.
        self.needs_output = any(layer.needs_output for layer in self.layers)
        self._copies = [Kept(dtype) for _ in self.layers]

    @property
    def n_units(self) -> int:
        return sum(layer.n_units for layer in self.layers)

    def use_noise(self, noise: Noise) -> None:
        for layer in self.layers:
            layer.use_noise(noise)

    def bind(self, values: Array, gradients: Array, statistics: Array) -> None:
        super().bind(values, gradients, statistics)
        parameters = [layer.parameter_shapes for layer in self.layers]
        kept = [layer.statistic_shapes for layer in self.layers]
        parts = columns(values, parameters), columns(gradients, parameters)
        for layer, *own in zip(self.layers, *parts, columns(statistics, kept), strict=True):
            layer.bind(*own)

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        for layer in self.layers:
            layer.initialize(rngs, initializers)

    def fit(self, X: Array) -> None:
        self.layers[0].fit(X)

    def forward(self, X: Array, training: bool = False) -> Array:
        needed = [X]  # the caller's rows and what `backward` needs, also where layers return them
        for layer, copies in zip(self.layers, self._copies, strict=True):
            if layer.overwrites_input and any(X is each for each in needed):
                original, X = X, copies[X.shape]
                np.copyto(X, original)
            X = layer.forward(X, training)
            if layer.needs_output:
                needed.append(X)
        return X

    def backward(self, d_output: Array) -> Array:
        for layer in reversed(self.layers):
            d_output = layer.backward(d_output)
        return d_output

    def backward_parameters(self, d_output: Array) -> None:
        for layer in reversed(self.layers[1:]):
            d_output = layer.backward(d_output)
        self.layers[0].backward_parameters(d_output)


class Residual(Sequential):
    """``X + layers(X)``: the layers learn what is to be changed about their input.

    The last layer has as many features as the first one takes. The derivative for the input is
    that of the layers plus the derivative for the output itself. After He et al. (2016).
    """

    def __init__(
        self, settings: Sequential.Settings, in_features: int, dtype: np.dtype[Any]
    ) -> None:
        super().__init__(settings, in_features, dtype)
        n = self.out_features
        require(n == in_features, "layers", f"of {in_features} outputs, as inputs", n)
        self.needs_output = False  # it is an array of its own
        self._d_inner, self._output = Kept(dtype), Kept(dtype)

    @property
    def n_units(self) -> int:
        return self.out_features + super().n_units

    def forward(self, X: Array, training: bool = False) -> Array:
        inner = super().forward(X, training)
        output: Array = np.add(X, inner, out=self._output[inner.shape])
        return output

    def backward(self, d_output: Array) -> Array:
        # The layers may overwrite what they are given.
        d_inner: Array = self._d_inner[d_output.shape]
        np.copyto(d_inner, d_output)
        np.add(d_output, super().backward(d_inner), out=d_output)
        return d_output
