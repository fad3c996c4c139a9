"""What makes more of a table's columns: words as vectors, numbers as several features, scales.

These layers come first. Those that embed numbers leave the features themselves at the front, so
that the columns keep their places.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.initializers import Initializers, Uniform
from softnet.stack.arrays import Array, Indices, Kept
from softnet.stack.settings import POSITIVE, count_from, require


def columns_of(features: Sequence[int]) -> slice | Indices:
    """Return what takes these features: a slice, which is faster, where they lie side by side."""
    numbers = np.array(features, np.intp)
    is_run = len(numbers) > 0 and bool(np.all(np.diff(numbers) == 1))
    return slice(features[0], features[-1] + 1) if is_run else numbers


class Scale(Layer):
    """``X * weight``: a learned factor for each feature (Holzmueller et al. 2024), 1 at first."""

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.parameter_shapes = {"weight": (in_features,)}
        self._output, self._terms = Kept(dtype), Kept(dtype)

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        self.values["weight"][:] = 1

    def forward(self, X: Array, training: bool = False) -> Array:
        weight = self.values["weight"][:, None]
        self._X = X
        output: Array = np.multiply(X, weight, out=self._output[len(weight), *X.shape[1:]])
        return output

    def backward(self, d_output: Array) -> Array:
        terms = np.multiply(d_output, self._X, out=self._terms[d_output.shape])
        self.sum_of(terms, self.gradients["weight"][:, None])
        return np.multiply(d_output, self.values["weight"][:, None], out=d_output)


class Embedding(Layer):
    """Puts a learned vector in the place of each group of one-hot features.

    Looking a word's vector up is the product of its one-hot row with the table of all vectors. A
    row of zeros, a word that training had not, gets zeros. The vectors stand behind what is left.
    """

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """First and last feature of each group, the last one excluded; numbers in a vector."""

        groups: tuple[tuple[int, int], ...]
        size: int = field(default=8, metadata=count_from(1))

    settings: Settings

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        groups = settings.groups
        listed = [column for first, last in groups for column in range(first, last)]
        words = set(listed)
        is_sound = bool(groups) and all(first < last for first, last in groups)
        is_sound = is_sound and len(words) == len(listed) and words <= set(range(in_features))
        require(is_sound, "groups", f"of {in_features} features, none of them twice", groups)
        rest = sorted(set(range(in_features)) - words)
        self._n_rest, self._rest = len(rest), columns_of(rest)
        self.out_features = len(rest) + settings.size * len(settings.groups)
        self.parameter_shapes = {
            f"table{n}": (last - first, settings.size)
            for n, (first, last) in enumerate(settings.groups)
        }
        self._output, self._d_input = Kept(dtype), Kept(dtype)

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        for run, rng in enumerate(rngs):
            for table in self.values.values():
                table[run] = rng.standard_normal(table.shape[1:])

    def _vectors(self, output: Array) -> list[Array]:
        """View the vectors of each group in an array of the output's shape."""
        return np.split(output[..., self._n_rest :], len(self.settings.groups), axis=-1)

    def forward(self, X: Array, training: bool = False) -> Array:
        tables = list(self.values.values())
        self._X = X
        output = self._output[len(tables[0]), X.shape[1], self.out_features]
        output[..., : self._n_rest] = X[..., self._rest]
        for (first, last), table, vectors in zip(
            self.settings.groups, tables, self._vectors(output), strict=True
        ):
            np.matmul(X[..., first:last], table, out=vectors)
        return output

    def backward(self, d_output: Array) -> Array:
        self.backward_parameters(d_output)
        d_input = self._d_input[*d_output.shape[:2], self.in_features]
        d_input[..., self._rest] = d_output[..., : self._n_rest]
        for (first, last), table, d_vectors in zip(
            self.settings.groups, self.values.values(), self._vectors(d_output), strict=True
        ):
            np.matmul(d_vectors, table.swapaxes(-1, -2), out=d_input[..., first:last])
        return d_input

    def backward_parameters(self, d_output: Array) -> None:
        for (first, last), d_table, d_vectors in zip(
            self.settings.groups, self.gradients.values(), self._vectors(d_output), strict=True
        ):
            np.matmul(self._X[..., first:last].swapaxes(-1, -2), d_vectors, out=d_table)


class NumberEmbedding(Layer):
    """Adds to a row, for each of its numbers, a linear map of an encoding of that number.

    A subclass says what the encoding is. Arrays inside are (runs, numbers, codes, batch), as NumPy
    takes long rows many times faster than short ones. After Gorishniy, Rubachev, Babenko (2022),
    "On embeddings for numerical features".
    """

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        """The features that are numbers, those made of each, and its frequencies or bins."""

        numbers: tuple[int, ...]
        size: int = field(default=4, metadata=count_from(1))
        n_codes: int = field(default=16, metadata=count_from(1))

    settings: Settings
    # Whether the encoding has parameters of its own.
    learns_codes: ClassVar[bool] = False

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        numbers = set(settings.numbers)
        is_sound = len(numbers) == len(settings.numbers) and numbers <= set(range(in_features))
        rule = f"of {in_features} features, none of them twice"
        require(is_sound, "numbers", rule, settings.numbers)
        self.n, self.size, self.n_codes = len(settings.numbers), settings.size, settings.n_codes
        self.columns = columns_of(settings.numbers)
        self.out_features = in_features + self.n * self.size
        self.parameter_shapes = {
            "weight": (self.n, self.n_codes, self.size),
            "bias": (self.n, self.size),
        }
        self.kept, self._products, self._output = Kept(dtype), Kept(dtype), Kept(dtype)
        self._d_codes = Kept(dtype)

    @property
    def n_units(self) -> int:
        return self.out_features + 2 * self.n * self.n_codes

    @abstractmethod
    def encode(self, x: Array) -> Array:
        """Return the codes of numbers (runs, numbers, 1, batch)."""

    @abstractmethod
    def backward_codes(self, d_codes: Array) -> Array:
        """Write the encoding's gradients; return the derivative for the numbers."""

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        for run, rng in enumerate(rngs):
            for matrix in self.values["weight"][run]:
                matrix[:] = Uniform()(rng, matrix.shape)

    def _embedded(self, output: Array) -> Array:
        """View what is made of the numbers, (runs, numbers, size, batch)."""
        shape = (*output.shape[:2], self.n, self.size)
        return output[..., self.in_features :].reshape(shape).transpose(0, 2, 3, 1)

    def forward(self, X: Array, training: bool = False) -> Array:
        weight, bias = self.values["weight"], self.values["bias"][..., None]
        x = np.ascontiguousarray(X[..., self.columns].swapaxes(1, 2))[:, :, None]
        self._codes = self.encode(x)
        output = self._output[len(weight), X.shape[1], self.out_features]
        output[..., : self.in_features] = X
        products = self._products[*weight.shape[:2], self.size, X.shape[1]]
        np.matmul(weight.swapaxes(-1, -2), self._codes, out=products)
        np.add(products, bias, out=self._embedded(output))
        return output

    def backward_parameters(self, d_output: Array) -> None:
        d_embedded = self._backward_embedded(d_output)
        if self.learns_codes:
            self.backward_codes(self._backward_weight(d_embedded))

    def _backward_embedded(self, d_output: Array) -> Array:
        """Write the linear maps' gradients; return the derivative for what they put out."""
        d_embedded = np.ascontiguousarray(self._embedded(d_output))
        np.matmul(self._codes, d_embedded.swapaxes(-1, -2), out=self.gradients["weight"])
        self.along_batch(d_embedded, self.gradients["bias"])
        return d_embedded

    def _backward_weight(self, d_embedded: Array) -> Array:
        """Return the derivative for the codes."""
        d_codes: Array = self._d_codes[self._codes.shape]
        np.matmul(self.values["weight"], d_embedded, out=d_codes)
        return d_codes

    def along_batch(self, rows: Array, out: Array, factors: Array | None = None) -> None:
        """Write the sums of rows (runs, numbers, codes, batch) over the batch, times `factors`."""
        factors = self._ones[1, rows.shape[-1]] if factors is None else factors
        np.matmul(rows, factors.swapaxes(-1, -2), out=out[..., None])

    def backward(self, d_output: Array) -> Array:
        d_codes = self._backward_weight(self._backward_embedded(d_output))
        d_x = self.backward_codes(d_codes)[:, :, 0]
        d_input = d_output[..., : self.in_features].copy()
        d_input[..., self.columns] += d_x.swapaxes(1, 2)
        return d_input


class Periodic(NumberEmbedding):
    """Embeds numbers by waves of learned frequencies: ``cos(2 pi (x * frequency + phase))``.

    With the number itself beside it, this is the embedding of RealMLP.
    """

    @dataclass(frozen=True)
    class Settings(NumberEmbedding.Settings):
        """Further, the standard deviation of the frequencies at the start."""

        frequency_scale: float = field(default=0.1, metadata=POSITIVE)

    settings: Settings
    learns_codes = True

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        shape = (self.n, self.n_codes)
        self.parameter_shapes = {**self.parameter_shapes, "frequency": shape, "phase": shape}
        self._angle = Kept(dtype)

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        super().initialize(rngs, initializers)
        shape = (self.n, self.n_codes)
        for run, rng in enumerate(rngs):
            frequency = rng.standard_normal(shape) * self.settings.frequency_scale
            self.values["frequency"][run] = frequency
            self.values["phase"][run] = rng.uniform(-0.5, 0.5, shape)

    def encode(self, x: Array) -> Array:
        self._x = x
        frequency, phase = (self.values[name][..., None] for name in ("frequency", "phase"))
        angle = self._angle[*frequency.shape[:3], x.shape[-1]]
        np.multiply(x, frequency, out=angle)
        np.add(angle, phase, out=angle)
        np.multiply(angle, 2 * math.pi, out=angle)
        codes: Array = self.kept[angle.shape]
        np.cos(angle, out=codes)
        return codes

    def backward_codes(self, d_codes: Array) -> Array:
        angle = self._angle[d_codes.shape]
        slopes = np.sin(angle, out=angle)
        np.multiply(slopes, d_codes, out=slopes)
        np.multiply(slopes, -2 * math.pi, out=slopes)
        self.along_batch(slopes, self.gradients["phase"])
        self.along_batch(slopes, self.gradients["frequency"], self._x)
        d_x: Array = np.matmul(self.values["frequency"][:, :, None], slopes)
        return d_x


class PiecewiseLinear(NumberEmbedding):
    """Embeds numbers by how far each has come through the bins between quantiles of the data.

    A bin that lies below the number counts 1, one above it 0, the bin that it is in the share that
    lies below; the outer bins go on in a straight line. Edges are statistics: `fit` finds them.
    """

    def __init__(
        self, settings: NumberEmbedding.Settings, in_features: int, dtype: np.dtype[Any]
    ) -> None:
        super().__init__(settings, in_features, dtype)
        self.statistic_shapes = {"edges": (self.n, self.n_codes + 1)}

    def fit(self, X: Array) -> None:
        shares = np.linspace(0, 1, self.n_codes + 1)
        self.statistics["edges"][:] = np.quantile(X[:, self.columns], shares, axis=0).T

    def encode(self, x: Array) -> Array:
        self._x = x
        codes = self._shares(x)
        # All are cut to [0, 1] but the ends of the outer bins; a single bin is a straight line.
        inner = codes[:, :, 1:-1]
        np.clip(inner, 0, 1, out=inner)
        if self.n_codes > 1:
            np.minimum(codes[:, :, 0], 1, out=codes[:, :, 0])
            np.maximum(codes[:, :, -1], 0, out=codes[:, :, -1])
        return codes

    def _shares(self, x: Array) -> Array:
        """Return how far numbers have come through each bin: below 0 before it, above 1 past it."""
        edges = self.statistics["edges"][..., None]
        left, widths = edges[:, :, :-1], np.diff(edges, axis=2)
        # Equal quantiles make a bin of no width, which is a step.
        is_step = widths == 0
        self._rates = np.where(is_step, 0, 1 / np.where(is_step, 1, widths))
        shares = self.kept[*left.shape[:3], x.shape[-1]]
        np.subtract(x, left, out=shares)
        np.multiply(shares, self._rates, out=shares)
        if is_step.any():
            shares += is_step & (x > left)
        return shares

    def backward_codes(self, d_codes: Array) -> Array:
        shares = self._shares(self._x)
        d_codes[:, :, 1:] *= shares[:, :, 1:] >= 0
        d_codes[:, :, :-1] *= shares[:, :, :-1] <= 1
        d_x: Array = np.matmul(self._rates.swapaxes(-1, -2), d_codes)
        return d_x
