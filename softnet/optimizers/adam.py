"""Adam, and AdamW with its decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from softnet.optimizers.base import Optimizer, OptimizerSettings
from softnet.stack.settings import FRACTION, NOT_NEGATIVE, POSITIVE


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    Notes
    -----
    ``mean = beta1 * mean + (1 - beta1) * gradient``, ``square`` likewise with ``gradient**2``;
    the step is ``learning_rate / (1 - beta1**t) * mean / (sqrt(square / (1 - beta2**t)) +
    epsilon)``: epsilon stands outside the bias-corrected root, and t counts from 1. The powers
    are Python floats run by run, since arrays round some of them differently.

    References
    ----------
    D. P. Kingma, J. Ba (2015), "Adam: a method for stochastic optimization".
    """

    STATE = ("mean", "square")

    @dataclass(frozen=True)
    class Settings(OptimizerSettings):
        """Settings of one run; see `OptimizerSettings` for those that all optimizers have.

        Parameters
        ----------
        beta1, beta2 : float
            Shares of the running means that are kept, in [0, 1).
        epsilon : float
            Added to the root, above 0.
        """

        beta1: float = field(default=0.9, metadata=FRACTION)
        beta2: float = field(default=0.999, metadata=FRACTION)
        epsilon: float = field(default=1e-8, metadata=POSITIVE)

    def _take(self, settings: tuple[Any, ...]) -> None:
        super()._take(settings)
        self._beta1 = self._column(lambda run: run.beta1)
        self._beta2 = self._column(lambda run: run.beta2)
        self._rest1 = self._column(lambda run: 1.0 - run.beta1)
        self._rest2 = self._column(lambda run: 1.0 - run.beta2)
        self._epsilon = self._column(lambda run: run.epsilon)
        self._betas = [(run.beta1, run.beta2) for run in settings]

    def step(self, learning_rates: Sequence[float], t: int) -> None:
        gradients, scratch = self.clip_and_decay(), self._scratch
        mean, square = self.state["mean"], self.state["square"]
        np.multiply(mean, self._beta1, out=mean)
        np.multiply(gradients, self._rest1, out=scratch)
        np.add(mean, scratch, out=mean)
        np.multiply(square, self._beta2, out=square)
        np.multiply(gradients, gradients, out=scratch)
        np.multiply(scratch, self._rest2, out=scratch)
        np.add(square, scratch, out=square)

        # Runs of a sweep mostly share their betas: each distinct pair is worked out once.
        powers = {pair: (1.0 - pair[0] ** t, 1.0 - pair[1] ** t) for pair in set(self._betas)}
        sizes = [
            rate / powers[pair][0] for rate, pair in zip(learning_rates, self._betas, strict=True)
        ]
        roots = [math.sqrt(powers[pair][1]) for pair in self._betas]
        np.sqrt(square, out=scratch)
        np.divide(scratch, self.as_column(roots), out=scratch)
        np.add(scratch, self._epsilon, out=scratch)
        np.divide(mean, scratch, out=scratch)
        np.multiply(scratch, self.as_column(sizes), out=scratch)
        np.subtract(self.parameters.values, scratch, out=self.parameters.values)


class AdamW(Adam):
    """Adam with a weight decay of its own, beside the gradient (Loshchilov, Hutter 2019).

    Before the step of `Adam`, ``weight = weight * (1 - learning_rate * weight_decay)``. Only
    weights of two axes and more decay, and tables of vectors: no biases, and no normalization's.
    """

    @dataclass(frozen=True)
    class Settings(Adam.Settings):
        """Here `weight_decay`, times the learning rate, is the share that a step takes off."""

        weight_decay: float = field(default=0.01, metadata=NOT_NEGATIVE)

    def _take(self, settings: tuple[Any, ...]) -> None:
        super()._take(settings)
        self._decays = False  # not in the gradient
        self._shares = [run.weight_decay for run in settings]
        start, self._decayed = 0, []
        for name, shape in self.parameters.shapes.items():
            stop = start + prod(shape)
            if len(shape) > 1 and name.rpartition(".")[2].startswith(("weight", "table")):
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
