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
    """Draws row numbers for a stack of runs, many steps ahead.

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
        self._drawn: Indices = np.empty((len(self.rngs), 0), np.intp)
        self._position = 0
        self._before = [rng.bit_generator.state for rng in self.rngs]

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Row numbers in a round: batches are cut from it, of which the last may be short."""

    @abstractmethod
    def draw_rounds(self, rng: np.random.Generator, out: Indices) -> None:
        """Draw into `out`, of shape (rounds, n_rows) and contiguous, one round after the other.

        What is drawn must not depend on how many rounds are drawn at a time.
        """

    def draw(self, n_steps: int, n_later: int = 0) -> Iterator[Indices]:
        """Yield an ndarray (runs, batch) for each of the next `n_steps` steps.

        `n_later` more may be asked for afterwards, which it may be cheaper to draw now.
        """
        per_round = steps_per_epoch(self.n_rows, self.batch_size)
        for step in range(n_steps):
            if self._position == self._drawn.shape[1]:
                most = max(_NUMBERS_AT_A_TIME // self.n_rows, 1)
                self._draw_ahead(min(-(-(n_steps - step + n_later) // per_round), most))
            start = self._position
            end_of_round = (start // self.n_rows + 1) * self.n_rows
            self._position = min(start + self.batch_size, end_of_round)
            rows = self._drawn[:, start : self._position]
            yield rows if self.order == "F" else np.ascontiguousarray(rows)

    def _draw_ahead(self, n_rounds: int) -> None:
        """Draw so many rounds as a block, and note how the generators stood before."""
        self._position = 0
        self._before = [rng.bit_generator.state for rng in self.rngs]
        n_runs, size = len(self.rngs), n_rounds * self.n_rows
        self._drawn = np.empty((n_runs, size), np.intp, self.order)
        # Room for one more number, so that no power of two lies between those of one run and of the
        # next: a cache keeps few things that far apart.
        by_run = np.empty((min(n_runs, _RUNS_AT_A_TIME), size + 1), np.intp)[:, :size]
        for first in range(0, n_runs, _RUNS_AT_A_TIME):
            target = self._drawn[first : first + _RUNS_AT_A_TIME]
            drawn = target if self.order == "C" else by_run[: len(target)]
            for rng, out in zip(self.rngs[first : first + len(drawn)], drawn, strict=True):
                self.draw_rounds(rng, out.reshape(n_rounds, self.n_rows))
            if drawn is not target:
                target[...] = drawn  # turned around: a step of all runs is what is asked for

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone, positions among those that are left by now."""
        self.rngs = [self.rngs[row] for row in rows]
        self._before = [self._before[row] for row in rows]
        self._drawn = np.array(self._drawn[rows], order=self.order)

    def state(self) -> dict[str, Any]:
        """Return the generators' states before the present round, and the place in it.

        They are the same for all runs that have taken as many steps, however these were drawn.
        """
        n_rounds, position = divmod(self._position, self.n_rows)
        rng, states = np.random.Generator(np.random.PCG64()), list(self._before)
        for row, before in enumerate(states if n_rounds else ()):
            rng.bit_generator.state = before
            self.draw_rounds(rng, np.empty((n_rounds, self.n_rows), np.intp))
            states[row] = rng.bit_generator.state
        return {"rngs": states, "position": position}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved
        position = int(state["position"])
        self._draw_ahead(-(-position // self.n_rows))
        self._position = position


def steps_per_epoch(n_samples: int, batch_size: int) -> int:
    """Count the steps that see as many rows as there are; the last may be short."""
    return -(-n_samples // batch_size)


class WithReplacement(Batches):
    """Each batch is drawn with replacement from all rows, as in the tutorial."""

    @property
    def n_rows(self) -> int:
        return self.batch_size

    def draw_rounds(self, rng: np.random.Generator, out: Indices) -> None:
        # 64-bit numbers: narrower ones discard unused bits at the end of each call, so that it
        # would matter how many are drawn at a time.
        out[...] = rng.integers(self.n_samples, size=out.shape)


class Shuffled(Batches):
    """Every epoch sees each row once, in a new order; the last batch may be short."""

    @property
    def n_rows(self) -> int:
        return self.n_samples

    def draw_rounds(self, rng: np.random.Generator, out: Indices) -> None:
        # One call for many epochs: for few rows, calling costs more than shuffling.
        out[...] = np.arange(self.n_samples)
        rng.permuted(out, axis=1, out=out)


SAMPLINGS: dict[str, type[Batches]] = {
    "shuffled": Shuffled,
    "with_replacement": WithReplacement,
}
