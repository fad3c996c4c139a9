"""The array type of the network, and arrays that are kept between steps.

A step of a small network is bound by the cost of its NumPy calls. A fresh result for each of
them adds page faults, so an operation keeps one result array per shape and writes into it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]
# How an array (runs, ...) lies in memory: "C" has the numbers of one run together, "F" those of all
# runs side by side.
Order = Literal["C", "F"]


class Kept(dict[tuple[int, ...], NDArray[Any]]):
    """Arrays kept by shape, at first filled: the same shape gets the same, uncleared memory again.

    Whoever asks owns the array until it asks again; results that must outlive the next step are
    copied by the one who wants them. A dict, since looking one up costs less than a call.

    Examples
    --------
    >>> kept = Kept(np.dtype("float64"))
    >>> kept[2, 3] is kept[2, 3]
    True
    """

    def __init__(self, dtype: np.dtype[Any], fill: float = 0) -> None:
        super().__init__()
        self.dtype, self.fill = dtype, fill

    def __missing__(self, shape: tuple[int, ...]) -> NDArray[Any]:
        # Zeros that are only read cost no memory of their own.
        array = self[shape] = np.zeros(shape, self.dtype)
        if self.fill:
            array.fill(self.fill)
        return array
