from __future__ import annotations

import numpy as np

from softnet.arrays import Kept


def test_same_shape_gets_same_memory_again() -> None:
    kept = Kept(np.dtype("float32"))
    first = kept[2, 3]
    first[:] = 7
    assert kept[2, 3] is first
    assert first.shape == (2, 3)
    assert first.dtype == np.float32


def test_another_shape_gets_memory_of_its_own() -> None:
    kept = Kept(np.dtype("float64"))
    assert not np.shares_memory(kept[2, 3], kept[3, 2])


def test_two_owners_share_no_memory() -> None:
    dtype = np.dtype("float64")
    assert not np.shares_memory(Kept(dtype)[2, 3], Kept(dtype)[2, 3])
