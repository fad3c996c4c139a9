"""Batches: which rows of the training data each step sees.

Every run draws from its own generator, and draws the same rows however many steps are asked for
at a time: a resumed run and a run in a stack see the batches of the run alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from softnet.stack.arrays import Indices, Order

# Calling for a few random numbers takes longer than drawing them: up to so many are drawn at once.
_NUMBERS_AT_A_TIME = 2048
_RUNS_AT_A_TIME = 64


class Batches(ABC):
    """Draws row numbers for a stack of runs.

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
        self.n_samples, self.batch_size, self.rngs = n_samples, batch_size, list(rngs)
        self.order: Order = order

    @abstractmethod
    def draw(self, n_steps: int, n_later: int = 0) -> Iterator[Indices]:
        """Yield an ndarray (runs, batch) for each of the next `n_steps` steps.

        `n_later` more may be asked for afterwards, which it may be cheaper to draw now.
        """

    @abstractmethod
    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone, positions among those that are left by now."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return arrays and numbers from which `restore` goes on."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state` returned."""


def steps_per_epoch(n_samples: int, batch_size: int) -> int:
    """Count the steps that see as many rows as there are; the last may be short."""
    return -(-n_samples // batch_size)


class WithReplacement(Batches):
    """Each batch is drawn with replacement from all rows, as in the tutorial."""

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        rngs: Sequence[np.random.Generator],
        order: Order = "C",
    ) -> None:
        super().__init__(n_samples, batch_size, rngs, order)
        self._rows = self._empty(0, len(self.rngs))
        self._position = 0
        self._before = [rng.bit_generator.state for rng in self.rngs]

    def _draw_ahead(self, n_steps: int) -> None:
        """Draw so many steps as a block, and note how the generators stood before."""
        self._position = 0
        self._before = [rng.bit_generator.state for rng in self.rngs]
        n_runs = len(self.rngs)
        self._rows = self._empty(n_steps, n_runs)
        # Room for one more step, so that no power of two lies between a step of one run and that
        # of the next: a cache keeps few things that far apart.
        n_drawn = min(n_runs, _RUNS_AT_A_TIME)
        drawn = np.empty((n_drawn, n_steps + 1, self.batch_size), np.intp)[:, :n_steps]
        for first in range(0, n_runs, _RUNS_AT_A_TIME):
            some = slice(first, min(first + _RUNS_AT_A_TIME, n_runs))
            for run, rng in enumerate(self.rngs[some]):
                # 64-bit numbers: narrower ones discard unused bits at the end of each call, so that
                # it would matter how many are drawn at a time.
                drawn[run] = rng.integers(self.n_samples, size=(n_steps, self.batch_size))
            # Turned around: a step of all runs is what is asked for.
            self._rows[:, some] = drawn[: some.stop - first].swapaxes(0, 1)

    def _empty(self, n_steps: int, n_runs: int) -> Indices:
        """Make an array (steps, runs, batch) of which each step lies in memory as asked for."""
        if self.order == "C":
            return np.empty((n_steps, n_runs, self.batch_size), np.intp)
        return np.empty((n_steps, self.batch_size, n_runs), np.intp).swapaxes(1, 2)

    def draw(self, n_steps: int, n_later: int = 0) -> Iterator[Indices]:
        most = max(_NUMBERS_AT_A_TIME // self.batch_size, 1)
        for step in range(n_steps):
            if self._position == len(self._rows):
                self._draw_ahead(min(n_steps - step + n_later, most))
            self._position += 1
            yield self._rows[self._position - 1]

    def keep(self, rows: Indices) -> None:
        self.rngs = [self.rngs[row] for row in rows]
        self._before = [self._before[row] for row in rows]
        kept = self._empty(len(self._rows), len(rows))
        kept[:] = self._rows[:, rows]
        self._rows = kept

    def state(self) -> dict[str, Any]:
        """Return the generators' states before the present block, and the place in it."""
        return {"rngs": list(self._before), "position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved
        self._draw_ahead(int(state["position"]))
        self._position = len(self._rows)


class Shuffled(Batches):
    """Every epoch sees each row once, in a new order; the last batch may be short."""

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        rngs: Sequence[np.random.Generator],
        order: Order = "C",
    ) -> None:
        super().__init__(n_samples, batch_size, rngs, order)
        self._permutations = np.empty((len(self.rngs), n_samples), np.intp)
        self._position = n_samples

    def draw(self, n_steps: int, n_later: int = 0) -> Iterator[Indices]:
        for _ in range(n_steps):
            if self._position >= self.n_samples:
                for run, rng in enumerate(self.rngs):
                    self._permutations[run] = rng.permutation(self.n_samples)
                self._position = 0
            start, self._position = self._position, self._position + self.batch_size
            yield np.array(self._permutations[:, start : self._position], order=self.order)

    def keep(self, rows: Indices) -> None:
        self.rngs = [self.rngs[row] for row in rows]
        self._permutations = self._permutations[rows]

    def state(self) -> dict[str, Any]:
        return {
            "rngs": [rng.bit_generator.state for rng in self.rngs],
            "order": self._permutations.copy(),
            "position": self._position,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved
        self._permutations = np.array(state["order"], np.intp)
        self._position = int(state["position"])


SAMPLINGS: dict[str, type[Batches]] = {
    "shuffled": Shuffled,
    "with_replacement": WithReplacement,
}
