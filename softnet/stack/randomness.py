"""Named, independent streams of random numbers from one seed.

Each use of chance draws from a stream of its own, so that adding one (a dropout layer, say)
leaves the numbers of all the others as they were.
The generator is PCG64 (O'Neill 2014), that of `numpy.random.default_rng`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from softnet.stack.arrays import Indices

# Calling for a few random numbers takes longer than drawing them.
_WORDS_AT_A_TIME = 512

# The number of a stream is part of every result ever recorded: append, never renumber.
STREAMS = {"init": 0, "batches": 1, "dropout": 2}
_MEMBERS = 1000


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one of the `STREAMS` of a run's seed.

    Examples
    --------
    >>> int(stream(0, "init").integers(100)) == int(stream(0, "init").integers(100))
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(STREAMS[name],))
    return np.random.Generator(np.random.PCG64(sequence))


def member_seed(seed: int, member: int) -> int:
    """Return the seed of a member of an ensemble; the first one's is that of the run."""
    if member == 0:
        return seed
    return int(np.random.SeedSequence(seed, spawn_key=(_MEMBERS, member)).generate_state(1)[0])


class Noise:
    """Numbers for layers that need chance in training: a stream of 16-bit numbers for each run.

    They are the generator's own 64-bit words, four numbers each, so how many are drawn at a time
    decides nothing; and a place in the stream is one whole number, the same for all runs:
    `n_words`, those taken so far. `dropout` is the rate of each run.
    """

    def __init__(self, seeds: Sequence[int], dropout: Sequence[float] = ()) -> None:
        self._seeds = list(seeds)
        self.dropout = list(dropout) or [0.0] * len(self._seeds)
        self.go_to(0)

    def go_to(self, n_words: int) -> None:
        """Go on as if so many words had been taken."""
        self.n_words = n_words
        self._sources: list[np.random.PCG64] = []  # made when first needed
        self._words = np.empty((len(self._seeds), 0), np.uint64)

    def numbers(self, n: int) -> NDArray[np.uint16]:
        """Return the next numbers, 0 to 65,535: (runs, n)."""
        n_taken = -(-n // 4)
        n_missing = n_taken - self._words.shape[1]
        if n_missing > 0:
            if not self._sources:
                generators = (stream(seed, "dropout").bit_generator for seed in self._seeds)
                self._sources = [
                    cast("np.random.PCG64", each).advance(self.n_words) for each in generators
                ]
            n_drawn = max(n_missing, _WORDS_AT_A_TIME)
            drawn = np.stack([source.random_raw(n_drawn) for source in self._sources])
            self._words = np.concatenate([self._words, drawn], axis=1)
        taken, self._words = self._words[:, :n_taken], self._words[:, n_taken:]
        self.n_words += n_taken
        return taken.view(np.uint16)[:, :n]

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone, positions among those that are left by now."""
        self._seeds = [self._seeds[row] for row in rows]
        self.dropout = [self.dropout[row] for row in rows]
        self._sources = [self._sources[row] for row in rows] if self._sources else []
        self._words = self._words[rows]
