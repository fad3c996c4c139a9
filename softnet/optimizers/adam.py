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
    epsilon)``: epsilon stands outside the bias-corrected root, and t counts from 1.

    Kept are the sums ``beta1 * sum + gradient``, from which a mean differs by a factor. All factors
    of a step are put into two numbers for each run, which saves a quarter of the passes over the
    parameters. They are Python floats, since arrays round some powers differently.

    References
    ----------
    D. P. Kingma, J. Ba (2015), "Adam: a method for stochastic optimization".
    """

    STATE = ("sum", "sum_of_squares")

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
        self._betas = [(run.beta1, run.beta2) for run in settings]
        self._epsilons = [run.epsilon for run in settings]

    def step(self, learning_rates: Sequence[float], t: int) -> None:
        gradients, scratch = self.clip_and_decay(), self._scratch
        total, squares = self.state["sum"], self.state["sum_of_squares"]
        np.multiply(total, self._beta1, out=total)
        np.add(total, gradients, out=total)
        np.multiply(squares, self._beta2, out=squares)
        np.multiply(gradients, gradients, out=gradients)
        np.add(squares, gradients, out=squares)

        # Runs of a sweep mostly share their betas: each distinct pair is worked out once.
        factors = {(b1, b2): _factors(b1, b2, t) for b1, b2 in set(self._betas)}
        each = [factors[pair] for pair in self._betas]
        rates = zip(learning_rates, each, strict=True)
        sizes = [rate * of_mean / of_root for rate, (of_mean, of_root) in rates]
        epsilons = zip(self._epsilons, each, strict=True)
        shifts = [epsilon / of_root for epsilon, (_, of_root) in epsilons]
        np.sqrt(squares, out=scratch)
        np.add(scratch, self.as_column(shifts), out=scratch)
        np.divide(total, scratch, out=scratch)
        np.multiply(scratch, self.as_column(sizes), out=scratch)
        np.subtract(self.parameters.values, scratch, out=self.parameters.values)


def _factors(beta1: float, beta2: float, t: int) -> tuple[float, float]:
    """Return what makes the bias-corrected mean of a sum, and the root of that of squares."""
    return (1.0 - beta1) / (1.0 - beta1**t), math.sqrt((1.0 - beta2) / (1.0 - beta2**t))


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
