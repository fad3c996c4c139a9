"""RMSProp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.optimizers.base import Optimizer, OptimizerSettings
from softnet.stack.settings import FRACTION, POSITIVE


class RMSProp(Optimizer):
    """Steps scaled by a running mean of the gradient's square, perhaps with momentum.

    Notes
    -----
    ``square = rho * square + (1 - rho) * gradient**2``; the direction is ``gradient /
    (sqrt(square) + epsilon)``, and with momentum ``velocity = momentum * velocity + direction``:
    PyTorch's form, in which the learning rate is outside the velocity. After Hinton's lecture 6.5
    in Neural networks for machine learning (2012).
    """

    STATE = ("square", "velocity")

    @dataclass(frozen=True)
    class Settings(OptimizerSettings):
        """Settings of one run; see `OptimizerSettings` for those that all optimizers have.

        Parameters
        ----------
        rho : float
            Share of the running mean that is kept, in [0, 1).
        momentum : float
            Share of the velocity that is kept, in [0, 1).
        epsilon : float
            Added to the root, above 0.
        """

        rho: float = field(default=0.99, metadata=FRACTION)
        momentum: float = field(default=0.0, metadata=FRACTION)
        epsilon: float = field(default=1e-8, metadata=POSITIVE)

    def _take(self, settings: tuple[Any, ...]) -> None:
        super()._take(settings)
        self._rho = self._column(lambda run: run.rho)
        self._rest = self._column(lambda run: 1.0 - run.rho)
        self._momentum = self._column(lambda run: run.momentum)
        self._epsilon = self._column(lambda run: run.epsilon)
        self._moves = self._rows_where(self._momentum > 0)

    def step(self, learning_rates: Sequence[float], t: int) -> None:
        gradients, scratch, square = self.clip_and_decay(), self._scratch, self.state["square"]
        np.multiply(square, self._rho, out=square)
        np.multiply(gradients, gradients, out=scratch)
        np.multiply(scratch, self._rest, out=scratch)
        np.add(square, scratch, out=square)
        np.sqrt(square, out=scratch)
        np.add(scratch, self._epsilon, out=scratch)
        direction = np.divide(gradients, scratch, out=gradients)
        if self._moves is not False:
            velocity = self.state["velocity"]
            np.multiply(velocity, self._momentum, out=velocity)
            np.add(velocity, direction, out=velocity)
            np.copyto(direction, velocity, where=self._moves)
        np.multiply(direction, self.as_column(learning_rates), out=direction)
        np.subtract(self.parameters.values, direction, out=self.parameters.values)
