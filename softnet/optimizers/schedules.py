"""Schedules: which share of the learning rate a step takes.

A schedule is a function of the step's number (0 is the first) and the length of the training,
worked out in Python floats: NumPy's arrays round some of these functions differently, and a run
in a stack must get the very same rate as the run alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from softnet.stack.settings import NOT_NEGATIVE, POSITIVE, Settings, count_from


@dataclass(frozen=True)
class Schedule(Settings, ABC):
    """A function from step to a factor on the learning rate, after a linear warm-up.

    Parameters
    ----------
    warmup_steps : int
        Number of first steps over which the rate rises to its full value.
    """

    warmup_steps: int = field(default=0, kw_only=True, metadata=count_from(0))

    def __call__(self, step: int, n_steps: int) -> float:
        """Return the factor for `step` (from 0) of `n_steps`."""
        if step < self.warmup_steps:
            # The first of the steps takes one share of the rate, not none.
            return (step + 1) / self.warmup_steps
        n_left = max(n_steps - self.warmup_steps, 1)
        return self.factor_at((step - self.warmup_steps) / n_left)

    @abstractmethod
    def factor_at(self, progress: float) -> float:
        """Return the factor where this share of the steps after the warm-up lies behind."""


class Constant(Schedule):
    """The same rate throughout."""

    def factor_at(self, progress: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied by `factor` after every `every` steps, those of the warm-up too.

    Parameters
    ----------
    every : int
        Steps between two drops.
    factor : float
        What remains at each drop, above 0.

    Examples
    --------
    >>> [Step(every=2, factor=0.5)(step, n_steps=5) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    every: int = field(default=1000, metadata=count_from(1))
    factor: float = field(default=0.1, metadata=POSITIVE)

    def __call__(self, step: int, n_steps: int) -> float:
        try:
            decay = self.factor ** (step // self.every)
        except OverflowError:
            decay = math.inf
        return super().__call__(step, n_steps) * decay

    def factor_at(self, progress: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Decay(Schedule):
    """The rate falls from 1 to `final_factor`, in a straight line unless a subclass says how.

    Parameters
    ----------
    final_factor : float
        Factor that the last step would reach, 0 or above.
    """

    final_factor: float = field(default=0.0, metadata=NOT_NEGATIVE)

    def factor_at(self, progress: float) -> float:
        return 1.0 - (1.0 - self.final_factor) * progress


class LinearDecay(Decay):
    """The rate falls in a straight line from 1 to `final_factor`, after the warm-up.

    Examples
    --------
    >>> [LinearDecay()(step, n_steps=4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """


class Cosine(Decay):
    """The rate falls along half a cosine from 1 to `final_factor` (Loshchilov, Hutter 2017)."""

    def factor_at(self, progress: float) -> float:
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final_factor + (1.0 - self.final_factor) * cosine


@dataclass(frozen=True)
class ExponentialDecay(Decay):
    """The rate falls by the same factor at each step, from 1 to `final_factor` above 0."""

    final_factor: float = field(default=0.01, metadata=POSITIVE)

    def factor_at(self, progress: float) -> float:
        return float(self.final_factor**progress)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "linear": LinearDecay,
    "exponential": ExponentialDecay,
}
