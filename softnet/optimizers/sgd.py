"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softnet.optimizers.base import Optimizer, OptimizerSettings
from softnet.stack.settings import FRACTION, require


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's variant.

    Notes
    -----
    ``velocity = momentum * velocity + gradient``; the step goes along the velocity, or with
    Nesterov along ``gradient + momentum * velocity``: PyTorch's form, in which the learning rate
    is outside the velocity.

    References
    ----------
    I. Sutskever et al. (2013), "On the importance of initialization and momentum in deep
    learning".
    """

    STATE = ("velocity",)

    @dataclass(frozen=True)
    class Settings(OptimizerSettings):
        """Settings of one run; see `OptimizerSettings` for those that all optimizers have.

        Parameters
        ----------
        momentum : float
            Share of the velocity that is kept, in [0, 1).
        nesterov : bool
            Look ahead along the velocity; needs a momentum above 0.
        """

        momentum: float = field(default=0.0, metadata=FRACTION)
        nesterov: bool = False

        def __post_init__(self) -> None:
            super().__post_init__()
            idle = self.nesterov and self.momentum == 0
            require(not idle, "nesterov", "false where momentum is 0", self.nesterov)

    def _take(self, settings: tuple[Any, ...]) -> None:
        super()._take(settings)
        self._momentum = self._column(lambda run: run.momentum)
        self._moves = bool(np.any(self._momentum))
        nesterov = np.array([run.nesterov for run in settings], bool).reshape(-1, 1)
        self._looks_ahead = self._rows_where(nesterov)
        self._follows = self._rows_where((self._momentum > 0) & ~nesterov)

    def step(self, learning_rates: Sequence[float], t: int) -> None:
        rates = tuple(learning_rates)
        if rates != self._rates:
            self._rates, self._rate = rates, self.as_column(rates)
        direction = self.clip_and_decay()
        if self._moves:
            velocity = self.state["velocity"]
            np.multiply(velocity, self._momentum, out=velocity)
            np.add(velocity, direction, out=velocity)
            if self._looks_ahead is not False:
                np.multiply(velocity, self._momentum, out=self._scratch)
                np.add(direction, self._scratch, out=direction, where=self._looks_ahead)
            if self._follows is True:
                direction = velocity
            else:
                np.copyto(direction, velocity, where=self._follows)
        # Into the gradients, which have served: memory that is in the cache already.
        change = np.multiply(direction, self._rate, out=self.parameters.gradients)
        np.subtract(self.parameters.values, change, out=self.parameters.values)
