"""Schedules: which share of the learning rate a step takes.

A schedule is a function of the step's number (0 is the first) and the length of the training,
worked out in Python floats: NumPy's arrays round some of these functions differently, and a run
in a stack must get the very same rate as the run alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from softnet.stack.setting_rules import require_count, require_not_negative, require_positive


class Schedule(Protocol):
    """A function from step to a factor on the learning rate."""

    @property
    def warmup_steps(self) -> int:
        """Number of first steps over which the rate rises to its full value."""
        ...

    def __call__(self, step: int, n_steps: int) -> float:
        """Return the factor for `step` (from 0) of `n_steps`."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same rate throughout, after a linear warm-up.

    Parameters
    ----------
    warmup_steps : int
        Number of first steps over which the rate rises to its full value.
    """

    warmup_steps: int = 0

    def __post_init__(self) -> None:
        require_count("warmup_steps", self.warmup_steps, 0)

    def __call__(self, step: int, n_steps: int) -> float:
        return _warmup(step, self.warmup_steps)


@dataclass(frozen=True)
class Step:
    """The rate is multiplied by `factor` after every `every` steps.

    Parameters
    ----------
    every : int
        Steps between two drops.
    factor : float
        What remains at each drop, above 0.
    warmup_steps : int
        Number of first steps over which the rate rises to its full value.

    Examples
    --------
    >>> [Step(every=2, factor=0.5)(step, n_steps=5) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    every: int = 1000
    factor: float = 0.1
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        require_count("every", self.every, 1)
        require_positive("factor", self.factor)
        require_count("warmup_steps", self.warmup_steps, 0)

    def __call__(self, step: int, n_steps: int) -> float:
        drops = step // self.every
        try:
            decay = self.factor**drops
        except OverflowError:
            decay = math.inf
        return _warmup(step, self.warmup_steps) * decay


@dataclass(frozen=True)
class Cosine:
    """The rate falls along half a cosine from 1 to `final_factor`, after the warm-up.

    Parameters
    ----------
    final_factor : float
        Factor that the last step would reach, 0 or above.
    warmup_steps : int
        Number of first steps over which the rate rises to its full value.

    References
    ----------
    I. Loshchilov, F. Hutter (2017), "SGDR: Stochastic gradient descent with warm restarts".
    """

    final_factor: float = 0.0
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        require_not_negative("final_factor", self.final_factor)
        require_count("warmup_steps", self.warmup_steps, 0)

    def __call__(self, step: int, n_steps: int) -> float:
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        progress = _progress(step, n_steps, self.warmup_steps)
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final_factor + (1.0 - self.final_factor) * cosine


@dataclass(frozen=True)
class LinearDecay:
    """The rate falls in a straight line from 1 to `final_factor`, after the warm-up.

    Parameters
    ----------
    final_factor : float
        Factor that the last step would reach, 0 or above.
    warmup_steps : int
        Number of first steps over which the rate rises to its full value.

    Examples
    --------
    >>> [LinearDecay()(step, n_steps=4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """

    final_factor: float = 0.0
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        require_not_negative("final_factor", self.final_factor)
        require_count("warmup_steps", self.warmup_steps, 0)

    def __call__(self, step: int, n_steps: int) -> float:
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        return 1.0 - (1.0 - self.final_factor) * _progress(step, n_steps, self.warmup_steps)


@dataclass(frozen=True)
class ExponentialDecay:
    """The rate falls by the same factor at each step, from 1 to `final_factor` after the warm-up.

    Parameters
    ----------
    final_factor : float
        Factor that the last step would reach, above 0.
    warmup_steps : int
        Number of first steps over which the rate rises to its full value.

    Examples
    --------
    >>> [ExponentialDecay(final_factor=0.0625)(step, n_steps=4) for step in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    final_factor: float = 0.01
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        require_positive("final_factor", self.final_factor)
        require_count("warmup_steps", self.warmup_steps, 0)

    def __call__(self, step: int, n_steps: int) -> float:
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        return float(self.final_factor ** _progress(step, n_steps, self.warmup_steps))


def _progress(step: int, n_steps: int, warmup_steps: int) -> float:
    """Return the share of the steps after the warm-up that lies behind."""
    return (step - warmup_steps) / max(n_steps - warmup_steps, 1)


def _warmup(step: int, warmup_steps: int) -> float:
    """Rise linearly: the first of `warmup_steps` steps takes one share of them, not none."""
    return (step + 1) / warmup_steps if step < warmup_steps else 1.0


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "linear": LinearDecay,
    "exponential": ExponentialDecay,
}
