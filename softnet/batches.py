"""Batches: which rows of the training data each step sees.

Every run draws from its own generator, and draws the same rows however many steps are asked for
at a time: a resumed run and a run in a stack see the batches of the run alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from softnet.arrays import Indices, Order

_STEPS_AT_A_TIME = 16


class Batches(Protocol):
    """Draws row indices for a stack of runs."""

    rngs: list[np.random.Generator]

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        rngs: Sequence[np.random.Generator],
        order: Order = "C",
    ) -> None: ...

    def draw(self, n_steps: int) -> Iterator[Indices]:
        """Yield an ndarray (runs, batch) for each of the next `n_steps` steps."""
        ...

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone."""
        ...

    def state(self) -> dict[str, Any]:
        """Return arrays and numbers from which `restore` goes on."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        ...


def steps_per_epoch(n_samples: int, batch_size: int) -> int:
    """Count the steps that see as many rows as there are; the last may be short."""
    return -(-n_samples // batch_size)


class WithReplacement:
    """Each batch is drawn with replacement from all rows, as in the tutorial.

    Parameters
    ----------
    n_samples : int
        Number of training rows.
    batch_size : int
        Rows in a batch.
    rngs : sequence of numpy.random.Generator
        One per run.
    order : str
        How the row numbers of a step lie in memory: ``C``, run by run, or ``F``.
    """

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        rngs: Sequence[np.random.Generator],
        order: Order = "C",
    ) -> None:
        self.order = order
        self.n_samples, self.batch_size, self.rngs = n_samples, batch_size, list(rngs)

    def draw(self, n_steps: int) -> Iterator[Indices]:
        """Yield an ndarray (runs, batch) for each of the next `n_steps` steps."""
        drawn = np.empty((len(self.rngs), n_steps, self.batch_size), np.intp)
        for run, rng in enumerate(self.rngs):
            # 64-bit draws: narrower ones discard unused bits at the end of each call, so that
            # the numbers would depend on how many steps are drawn at a time.
            drawn[run] = rng.integers(self.n_samples, size=(n_steps, self.batch_size))
        for start in range(0, n_steps, _STEPS_AT_A_TIME):
            # Turned around, since a step of all runs is what is asked for; in a few pieces, since
            # a processor's cache holds no more.
            piece = drawn[:, start : start + _STEPS_AT_A_TIME]
            if self.order == "C":
                yield from np.ascontiguousarray(piece.transpose(1, 0, 2))
            else:
                yield from np.ascontiguousarray(piece.transpose(1, 2, 0)).swapaxes(1, 2)

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone."""
        self.rngs = [self.rngs[row] for row in rows]

    def state(self) -> dict[str, Any]:
        """Return the generators' states."""
        return {"rngs": [rng.bit_generator.state for rng in self.rngs]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved


class Shuffled:
    """Every epoch sees each row once, in a new order; the last batch may be short.

    Parameters
    ----------
    n_samples : int
        Number of training rows.
    batch_size : int
        Rows in a batch.
    rngs : sequence of numpy.random.Generator
        One per run.
    order : str
        How the row numbers of a step lie in memory: ``C``, run by run, or ``F``.
    """

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        rngs: Sequence[np.random.Generator],
        order: Order = "C",
    ) -> None:
        self.order = order
        self.n_samples, self.batch_size, self.rngs = n_samples, batch_size, list(rngs)
        self._order = np.empty((len(self.rngs), n_samples), np.intp)
        self._position = n_samples

    def draw(self, n_steps: int) -> Iterator[Indices]:
        """Yield an ndarray (runs, batch) for each of the next `n_steps` steps."""
        for _ in range(n_steps):
            if self._position >= self.n_samples:
                for run, rng in enumerate(self.rngs):
                    self._order[run] = rng.permutation(self.n_samples)
                self._position = 0
            start, self._position = self._position, self._position + self.batch_size
            yield np.array(self._order[:, start : self._position], order=self.order)

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone."""
        self.rngs = [self.rngs[row] for row in rows]
        self._order = self._order[rows]

    def state(self) -> dict[str, Any]:
        """Return the generators' states, and the place in the present epoch."""
        return {
            "rngs": [rng.bit_generator.state for rng in self.rngs],
            "order": self._order.copy(),
            "position": self._position,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved
        self._order = np.array(state["order"], np.intp)
        self._position = int(state["position"])


SAMPLINGS: dict[str, type[Batches]] = {
    "shuffled": Shuffled,
    "with_replacement": WithReplacement,
}
