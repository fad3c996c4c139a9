"""Layers of an ensemble within one network: members share weights and scale them each their way.

Rows of the members lie one member after the other in the batch: (runs, members * batch, features).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.initializers import Initializers
from softnet.stack.arrays import Array
from softnet.stack.settings import count_from


class MemberLinear(Layer):
    """``X @ weight + bias``, with a weight and a bias for each member: the heads of TabM."""

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """Units of each member, and the number of members."""

        out_features: int = field(metadata=count_from(1))
        n_members: int = field(metadata=count_from(1))

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.n_members, self.out_features = settings.n_members, settings.out_features
        self.parameter_shapes = {
            "weight": (self.n_members, in_features, self.out_features),
            "bias": (self.n_members, self.out_features),
        }

    @property
    def n_units(self) -> int:
        return self.n_members * self.out_features

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        for run, (rng, initializer) in enumerate(zip(rngs, initializers, strict=True)):
            for matrix in self.values["weight"][run]:
                matrix[:] = initializer(rng, matrix.shape)

    def by_member(self, rows: Array) -> Array:
        """View rows as (runs, members, batch, features)."""
        return rows.reshape(len(rows), self.n_members, -1, rows.shape[-1])

    def together(self, rows: Array) -> Array:
        """View (runs, members, batch, features) as rows."""
        return rows.reshape(len(rows), -1, rows.shape[-1])

    def forward(self, X: Array, training: bool = False) -> Array:
        self._X = self.by_member(X)
        output = np.matmul(self._X, self.values["weight"])
        output += self.values["bias"][:, :, None]
        return self.together(output)

    def backward(self, d_output: Array) -> Array:
        d_members = self.by_member(d_output)
        self.sum_of(d_members, self.gradients["bias"][:, :, None])
        np.matmul(self._X.swapaxes(-1, -2), d_members, out=self.gradients["weight"])
        return self.together(np.matmul(d_members, self.values["weight"].swapaxes(-1, -2)))


class SharedLinear(MemberLinear):
    """``((X * scale_in) @ weight) * scale_out + bias``: the weight alone is shared.

    As the first layer it makes of a row one for each member, and its scales of inputs start at 1
    or -1, by chance; other scales start at 1. After Gorishniy, Kotelnikov, Babenko (2025), "TabM".
    """

    @dataclass(frozen=True)
    class Settings(MemberLinear.Settings):
        """Further, whether rows come in once and not for each member."""

        is_first: bool = False

    settings: Settings

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.parameter_shapes = {
            "weight": (in_features, self.out_features),
            "scale_in": (self.n_members, in_features),
            "scale_out": (self.n_members, self.out_features),
            "bias": (self.n_members, self.out_features),
        }

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        self.values["scale_in"][:] = self.values["scale_out"][:] = 1
        for run, (rng, initializer) in enumerate(zip(rngs, initializers, strict=True)):
            weight, scale = self.values["weight"][run], self.values["scale_in"][run]
            weight[:] = initializer(rng, weight.shape)
            if self.settings.is_first:
                scale[:] = rng.integers(2, size=scale.shape) * 2 - 1

    def forward(self, X: Array, training: bool = False) -> Array:
        self._X = X[:, None] if self.settings.is_first else self.by_member(X)
        scale_in, scale_out, bias = (
            self.values[name][:, :, None] for name in ("scale_in", "scale_out", "bias")
        )
        self._scaled = self.together(self._X * scale_in)
        self._products = self.by_member(np.matmul(self._scaled, self.values["weight"]))
        return self.together(self._products * scale_out + bias)

    def backward(self, d_output: Array) -> Array:
        d_members = self.by_member(d_output)
        self.sum_of(d_members, self.gradients["bias"][:, :, None])
        self.sum_of(d_members * self._products, self.gradients["scale_out"][:, :, None])
        d_products = self.together(d_members * self.values["scale_out"][:, :, None])
        np.matmul(self._scaled.swapaxes(-1, -2), d_products, out=self.gradients["weight"])
        d_scaled = np.matmul(d_products, self.values["weight"].swapaxes(-1, -2))
        d_scaled = self.by_member(d_scaled)
        self.sum_of(d_scaled * self._X, self.gradients["scale_in"][:, :, None])
        d_input = d_scaled * self.values["scale_in"][:, :, None]
        if not self.settings.is_first:
            return self.together(d_input)
        total: Array = np.add.reduce(d_input, axis=1)
        return total
