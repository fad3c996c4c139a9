"""Layers of an ensemble within one network: members share weights and scale them each their way.

Rows of the members lie one member after the other in the batch: (runs, members * batch, features).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.initializers import Initializers
from softnet.stack.arrays import Array, Kept
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
        self._output, self._d_input = Kept(dtype), Kept(dtype)

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
        output = self._output[*self._X.shape[:3], self.out_features]
        np.matmul(self._X, self.values["weight"], out=output)
        np.add(output, self.values["bias"][:, :, None], out=output)
        return self.together(output)

    def backward(self, d_output: Array) -> Array:
        d_members = self.by_member(d_output)
        self.sum_of(d_members, self.gradients["bias"][:, :, None])
        np.matmul(self._X.swapaxes(-1, -2), d_members, out=self.gradients["weight"])
        d_input = self._d_input[self._X.shape]
        np.matmul(d_members, self.values["weight"].swapaxes(-1, -2), out=d_input)
        return self.together(d_input)


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
        self._inputs, self._sums, self._terms = Kept(dtype), Kept(dtype), Kept(dtype)

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
        n_runs, n_members = scale_in.shape[:2]
        scaled = self._inputs[n_runs, n_members, self._X.shape[2], self.in_features]
        np.multiply(self._X, scale_in, out=scaled)
        self._scaled = self.together(scaled)
        products = self._sums[*self._scaled.shape[:2], self.out_features]
        np.matmul(self._scaled, self.values["weight"], out=products)
        self._products = self.by_member(products)
        output = self._output[self._products.shape]
        np.multiply(self._products, scale_out, out=output)
        np.add(output, bias, out=output)
        return self.together(output)

    def backward(self, d_output: Array) -> Array:
        d_scaled = self._backward_scaled(d_output)
        d_input = np.multiply(d_scaled, self.values["scale_in"][:, :, None], out=d_scaled)
        if not self.settings.is_first:
            return self.together(d_input)
        total: Array = np.add.reduce(d_input, axis=1)
        return total

    def backward_parameters(self, d_output: Array) -> None:
        self._backward_scaled(d_output)

    def _backward_scaled(self, d_output: Array) -> Array:
        """Write `gradients`; return the derivative for the scaled inputs of each member."""
        d_members = self.by_member(d_output)
        self.sum_of(d_members, self.gradients["bias"][:, :, None])
        terms = np.multiply(d_members, self._products, out=self._terms[d_members.shape])
        self.sum_of(terms, self.gradients["scale_out"][:, :, None])
        np.multiply(d_members, self.values["scale_out"][:, :, None], out=d_members)
        d_products = self.together(d_members)
        np.matmul(self._scaled.swapaxes(-1, -2), d_products, out=self.gradients["weight"])
        d_scaled = self._d_input[self._scaled.shape]
        np.matmul(d_products, self.values["weight"].swapaxes(-1, -2), out=d_scaled)
        d_scaled = self.by_member(d_scaled)
        terms = np.multiply(d_scaled, self._X, out=self._terms[d_scaled.shape])
        self.sum_of(terms, self.gradients["scale_in"][:, :, None])
        return d_scaled
