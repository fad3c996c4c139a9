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
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from softnet.stack.settings import POSITIVE, Settings


@dataclass(frozen=True)
class Initializer(Settings, ABC):
    """Draws a weight matrix.

    Parameters
    ----------
    scale : float
        Factor on what is drawn, above 0.
    """

    scale: float = field(default=1.0, metadata=POSITIVE)

    def __call__(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return an array of this shape, (in_features, out_features)."""
        return self.draw(rng, shape) * self.scale

    @abstractmethod
    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return what is drawn at a scale of 1."""


class Zeros(Initializer):
    """Start at zero: right for a linear model, a dead end for hidden layers."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        return np.zeros(shape)


class Normal(Initializer):
    """Draw from the standard normal distribution, as the tutorial does."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        return rng.standard_normal(shape)


class Xavier(Initializer):
    """Draw uniformly with variance 2 / (in + out): for tanh and sigmoid (Glorot, Bengio 2010)."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        limit = math.sqrt(6.0 / sum(shape))
        return rng.uniform(-limit, limit, shape)


class He(Initializer):
    """Draw from a normal distribution with variance 2 / in: for ReLU (He et al. 2015)."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        return rng.standard_normal(shape) * math.sqrt(2.0 / shape[0])


class XavierNormal(Initializer):
    """Draw from a normal distribution with variance 2 / (in + out) (Glorot, Bengio 2010)."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        deviation = math.sqrt(2.0 / sum(shape))
        return rng.standard_normal(shape) * deviation


class HeUniform(Initializer):
    """Draw uniformly with variance 2 / in: for ReLU (He et al. 2015)."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        limit = math.sqrt(6.0 / shape[0])
        return rng.uniform(-limit, limit, shape)


class Uniform(Initializer):
    """Draw uniformly from -1 / sqrt(in) to 1 / sqrt(in), as PyTorch's linear layer does."""

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        limit = 1.0 / math.sqrt(shape[0])
        return rng.uniform(-limit, limit, shape)


class Orthogonal(Initializer):
    """Draw rows or columns, whichever are fewer, of length 1 at right angles (Saxe et al. 2014).

    They are the first factor of the QR decomposition of normal numbers whose second has a positive
    diagonal, so that every such matrix is as likely.
    """

    def draw(self, rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        n_most, n_least = max(shape), min(shape)
        Q, R = np.linalg.qr(rng.standard_normal((n_most, n_least)))
        Q *= np.where(np.diag(R) < 0, -1.0, 1.0)
        return Q if shape[0] >= shape[1] else Q.T


Initializers = Sequence[Initializer]

INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "normal": Normal,
    "xavier": Xavier,
    "he": He,
    "xavier_normal": XavierNormal,
    "he_uniform": HeUniform,
    "uniform": Uniform,
    "orthogonal": Orthogonal,
}
