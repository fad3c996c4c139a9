"""What all layers have: settings, shapes of what they need, and a way forward and back.

A layer sees a stack of runs: arrays of shape (runs, batch, features), one run's numbers never
mixing with another's. It remembers from `forward` what `backward` needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from softnet.layers.initializers import Initializers
from softnet.stack.arrays import Array, Kept
from softnet.stack.parameters import Shapes, cut
from softnet.stack.randomness import Noise
from softnet.stack.settings import HasSettings, Settings

Generators = Sequence[np.random.Generator]


@dataclass(frozen=True)
class LayerSettings(Settings):
    """What a layer is made from."""

    of: ClassVar[type[Layer]]

    def make(self, in_features: int, dtype: np.dtype[Any]) -> Layer:
        """Return the layer, for rows of `in_features`; not bound to any numbers yet."""
        return self.of(self, in_features, dtype)


class Layer(HasSettings, ABC):
    """One step of a network.

    What must outlive a step is in the network's flat buffers, into which a layer has views: layers
    are made anew whenever runs leave the stack.

    Parameters
    ----------
    settings : LayerSettings
        Of this class's `Settings`.
    in_features : int
        Features of a row that comes in.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    out_features : int
        Features of a row that goes out.
    parameter_shapes : mapping of str to tuple of int
        Shape of each parameter of one run, by name.
    statistic_shapes : mapping of str to tuple of int
        Shape of each array of one run that is kept with the weights but not optimized, by name.
    values, gradients, statistics : dict of str to ndarray of shape (runs, *shape)
        Views: the parameters, their gradients, which `backward` writes, and the statistics.
    """

    Settings = LayerSettings
    # Whether, as the first layer, it takes training rows with a one behind their features.
    takes_ones: ClassVar[bool] = False
    # Whether `forward` writes its output over its input.
    overwrites_input: ClassVar[bool] = False
    # Whether `backward` needs what `forward` returned, which no later layer may then overwrite.
    needs_output: bool = False
    # Whether it needs random numbers in training, which `noise` has.
    is_random: bool = False
    noise: Noise

    def __init__(self, settings: LayerSettings, in_features: int, dtype: np.dtype[Any]) -> None:
        self.settings = settings
        self.in_features = self.out_features = in_features
        self.dtype = dtype
        self.parameter_shapes: Shapes = {}
        self.statistic_shapes: Shapes = {}
        self._ones = Kept(dtype, 1)

    def bind(self, values: Array, gradients: Array, statistics: Array) -> None:
        """Take this layer's columns of the network's flat buffers, arrays (runs, n)."""
        self.values = cut(values, self.parameter_shapes)
        self.gradients = cut(gradients, self.parameter_shapes)
        self.statistics = cut(statistics, self.statistic_shapes)

    def use_noise(self, noise: Noise) -> None:
        """Take random numbers from there."""
        self.noise = noise

    @property
    def n_units(self) -> int:
        """Numbers that memory holds of what it puts out for a row."""
        return 0 if self.overwrites_input else self.out_features

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        """Set the parameters and statistics, which are zero, to their first values.

        Each run has its source of random numbers, and its way of drawing weights.
        """

    def fit(self, X: Array) -> None:
        """Set statistics by the training rows (n_samples, in_features); the first layer alone."""

    def sum_of(self, rows: Array, out: Array | None = None) -> Array:
        """Sum over the batch, the last axis but one, of which 1 is left.

        By a product with ones: of as few rows as a batch has, that is faster than a reduction.
        """
        total: Array = np.matmul(self._ones[1, rows.shape[-2]], rows, out=out)
        return total

    @abstractmethod
    def forward(self, X: Array, training: bool = False) -> Array:
        """Map rows (runs, batch, in_features) to (runs, batch, out_features).

        `X` may have a first axis of length 1: the same rows for all runs. `training` is true for
        the batches that are learned from. What is returned is a new array, one of the layer's own
        or `X` itself, and no part of it. The next layer may overwrite it, unless `needs_output`.
        """

    @abstractmethod
    def backward(self, d_output: Array) -> Array:
        """Write `gradients`, and return the derivative of the loss for the input.

        `d_output`, the derivative for the output of the last `forward`, may be overwritten.
        """

    def backward_parameters(self, d_output: Array) -> None:
        """Write `gradients` alone: of the first layer nobody asks for more."""
        self.backward(d_output)
