"""Residual blocks: layers whose output is added to their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softnet.layers.base import Layer, LayerSettings
from softnet.layers.initializers import Initializer
from softnet.stack.arrays import Array, Kept
from softnet.stack.parameters import columns, numbered
from softnet.stack.randomness import Noise
from softnet.stack.setting_rules import require


class Residual(Layer):
    """``X + layers(X)``: the layers learn what is to be changed about their input.

    Notes
    -----
    The derivative for the input is that of the layers plus the derivative for the output itself.

    References
    ----------
    K. He et al. (2016), "Deep residual learning for image recognition".
    """

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """Settings of a residual block.

        Parameters
        ----------
        layers : tuple of LayerSettings
            In their order; the last one has as many features as the first one takes.
        """

        layers: tuple[LayerSettings, ...]

        def __post_init__(self) -> None:
            require(len(self.layers) > 0, "layers", "at least one layer", self.layers)

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.layers: list[Layer] = []
        features = in_features
        for inner in settings.layers:
            self.layers.append(inner.make(features, dtype))
            features = self.layers[-1].out_features
        require(features == in_features, "layers", f"of {in_features} outputs, as inputs", features)
        self.parameter_shapes = numbered([layer.parameter_shapes for layer in self.layers])
        self.statistic_shapes = numbered([layer.statistic_shapes for layer in self.layers])
        self.is_random = any(layer.is_random for layer in self.layers)
        self._input, self._d_inner, self._output = Kept(dtype), Kept(dtype), Kept(dtype)

    @property
    def n_units(self) -> int:
        return self.out_features + sum(layer.n_units for layer in self.layers)

    def use_noise(self, noise: Noise) -> None:
        for layer in self.layers:
            layer.use_noise(noise)

    def bind(self, values: Array, gradients: Array, statistics: Array) -> None:
        super().bind(values, gradients, statistics)
        parameters = [layer.parameter_shapes for layer in self.layers]
        kept = [layer.statistic_shapes for layer in self.layers]
        parts = (
            columns(values, parameters),
            columns(gradients, parameters),
            columns(statistics, kept),
        )
        for layer, *own in zip(self.layers, *parts, strict=True):
            layer.bind(*own)

    def initialize(
        self, rngs: Sequence[np.random.Generator], initializers: Sequence[Initializer]
    ) -> None:
        for layer in self.layers:
            layer.initialize(rngs, initializers)

    def forward(self, X: Array, training: bool = False) -> Array:
        inner = X
        if self.layers[0].overwrites_input:
            inner = self._input[X.shape]
            np.copyto(inner, X)
        for layer in self.layers:
            inner = layer.forward(inner, training)
        output: Array = np.add(X, inner, out=self._output[inner.shape])
        return output

    def backward(self, d_output: Array) -> Array:
        # The layers may overwrite what they are given.
        d_inner: Array = self._d_inner[d_output.shape]
        np.copyto(d_inner, d_output)
        for layer in reversed(self.layers):
            d_inner = layer.backward(d_inner)
        np.add(d_output, d_inner, out=d_output)
        return d_output
