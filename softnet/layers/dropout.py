"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.layers.base import Layer, LayerSettings
from softnet.stack.arrays import Array, Kept
from softnet.stack.randomness import Noise
from softnet.stack.settings import FRACTION

_NUMBERS = 1 << 16


class Dropout(Layer):
    """Sets a random share of the numbers to 0 in training, and enlarges the others to make up.

    A number stays with probability ``1 - rate``, rounded to a 65,536th, and is divided by it: the
    mean is the same, and evaluation needs nothing done ("inverted" dropout; Srivastava et al. 2014,
    "Dropout: a simple way to prevent neural networks from overfitting").
    """

    is_random = True

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """`rate` is the share that is set to 0, in [0, 1); None is that of each run's settings."""

        rate: float | None = field(default=0.1, metadata=FRACTION)

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self._rate = settings.rate
        self._stays = Kept(np.dtype(bool))
        self._factors = Kept(dtype)
        self._output = Kept(dtype)

    def use_noise(self, noise: Noise) -> None:
        super().use_noise(noise)
        rates = noise.dropout if self._rate is None else [self._rate] * len(noise.dropout)
        n_dropped = [min(round(rate * _NUMBERS), _NUMBERS - 1) for rate in rates]
        self._n_dropped = np.array(n_dropped, np.uint16).reshape(-1, 1, 1)
        factors = [_NUMBERS / (_NUMBERS - n) for n in n_dropped]
        self._factor = np.array(factors, self.dtype).reshape(-1, 1, 1)

    def forward(self, X: Array, training: bool = False) -> Array:
        if not training:
            return X
        n_rows = X.shape[-2]
        numbers = self.noise.numbers(n_rows * self.in_features)
        shape = (len(numbers), n_rows, self.in_features)
        stays = np.greater_equal(numbers.reshape(shape), self._n_dropped, out=self._stays[shape])
        self._mask = np.multiply(stays, self._factor, out=self._factors[shape])
        output: Array = np.multiply(X, self._mask, out=self._output[shape])
        return output

    def backward(self, d_output: Array) -> Array:
        np.multiply(d_output, self._mask, out=d_output)
        return d_output
