"""AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from softnet.optimizers.adam import Adam


class AdamW(Adam):
    """Adam with a weight decay of its own, beside the gradient and not in it.

    Notes
    -----
    Before the step of `Adam`, ``weight = weight * (1 - learning_rate * weight_decay)``. Only arrays
    of two axes and more decay, which are weights: no bias, and no weight of a normalization.

    References
    ----------
    I. Loshchilov, F. Hutter (2019), "Decoupled weight decay regularization".
    """

    @dataclass(frozen=True)
    class Settings(Adam.Settings):
        """Settings of one run; see `Adam.Settings` for the others.

        Parameters
        ----------
        weight_decay : float
            Share of the weights that a step takes off, times the learning rate.
        """

        weight_decay: float = 0.01

    def _take(self, settings: tuple[Any, ...]) -> None:
        super()._take(settings)
        self._decays = False  # not in the gradient
        self._shares = [run.weight_decay for run in settings]
        start, self._decayed = 0, []
        for shape in self.parameters.shapes.values():
            stop = start + prod(shape)
            if len(shape) > 1:
                self._decayed.append(slice(start, stop))
            start = stop

    def step(self, learning_rates: Sequence[float], t: int) -> None:
        if any(self._shares):
            pairs = zip(learning_rates, self._shares, strict=True)
            factors = self.as_column([1.0 - rate * share for rate, share in pairs])
            for part in self._decayed:
                weights = self.parameters.values[:, part]
                np.multiply(weights, factors, out=weights)
        super().step(learning_rates, t)
