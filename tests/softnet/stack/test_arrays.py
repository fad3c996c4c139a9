from __future__ import annotations

import numpy as np

from softnet.stack.arrays import Kept


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


def test_a_row_of_ones_times_a_matrix_is_the_sum_over_its_rows() -> None:
    ones = Kept(np.dtype("float32"), 1)
    assert (ones[1, 3] @ np.array([[1, 2], [3, 4], [5, 6]], "float32")).tolist() == [[9, 12]]
    assert ones[1, 3] is ones[1, 3]
    assert ones[1, 3].dtype == np.float32
