"""How weights start; biases start at zero.

An initializer draws one weight matrix of one run, always in float64, so that the float32 run of
a seed starts at the rounded weights of the float64 run.

References
----------
X. Glorot, Y. Bengio (2010), "Understanding the difficulty of training deep feedforward neural
networks". K. He et al. (2015), "Delving deep into rectifiers".
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Initializer(Protocol):
    """Draws a weight matrix."""

    def __call__(
        self, rng: np.random.Generator, in_features: int, out_features: int, /
    ) -> NDArray[np.float64]:
        """Return an ndarray of shape (in_features, out_features)."""
        ...


def zeros(_rng: np.random.Generator, in_features: int, out_features: int) -> NDArray[np.float64]:
    """Start at zero: right for a linear model, a dead end for hidden layers."""
    return np.zeros((in_features, out_features))


def normal(rng: np.random.Generator, in_features: int, out_features: int) -> NDArray[np.float64]:
    """Draw from the standard normal distribution, as the tutorial does."""
    return rng.standard_normal((in_features, out_features))


def xavier(rng: np.random.Generator, in_features: int, out_features: int) -> NDArray[np.float64]:
    """Draw uniformly with variance 2 / (in + out): for tanh and sigmoid (Glorot, Bengio 2010)."""
    limit = math.sqrt(6.0 / (in_features + out_features))
    return rng.uniform(-limit, limit, (in_features, out_features))


def he(rng: np.random.Generator, in_features: int, out_features: int) -> NDArray[np.float64]:
    """Draw from a normal distribution with variance 2 / in: for ReLU (He et al. 2015)."""
    return rng.standard_normal((in_features, out_features)) * math.sqrt(2.0 / in_features)


INITIALIZERS: dict[str, Initializer] = {
    "zeros": zeros,
    "normal": normal,
    "xavier": xavier,
    "he": he,
}
