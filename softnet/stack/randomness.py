"""Named, independent streams of random numbers from one seed.

Each use of chance draws from a stream of its own, so that adding one (a dropout layer, say)
leaves the numbers of all the others as they were.

References
----------
M. E. O'Neill (2014), "PCG: A family of simple fast space-efficient statistically good algorithms
for random number generation", the generator behind `numpy.random.default_rng`.
"""

from __future__ import annotations

import numpy as np

# The number of a stream is part of every result ever recorded: append, never renumber.
STREAMS = {"init": 0, "batches": 1}


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one named stream.

    Parameters
    ----------
    seed : int
        The run's seed, 0 or above.
    name : str
        A key of `STREAMS`.

    Examples
    --------
    >>> int(stream(0, "init").integers(100)) == int(stream(0, "init").integers(100))
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(STREAMS[name],))
    return np.random.Generator(np.random.PCG64(sequence))
