"""One flat buffer for all weights of all runs, with named views into it.

Every optimizer step, norm, checkpoint and digest is then one operation on one array, whatever
the depth of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from softnet.stack.arrays import Array, Indices, Order

# Shape of each array of one run, by name, in the order in which they are laid out.
Shapes = Mapping[str, tuple[int, ...]]


def size_of(shapes: Shapes) -> int:
    """Count the numbers in arrays of these shapes."""
    return sum(map(prod, shapes.values()))


def cut(buffer: Array, shapes: Shapes) -> dict[str, Array]:
    """Cut a buffer (runs, size) into views (runs, *shape), by name."""
    views: dict[str, Array] = {}
    start = 0
    for name, shape in shapes.items():
        stop = start + prod(shape)
        views[name] = buffer[:, start:stop].reshape(len(buffer), *shape)
        start = stop
    return views


def columns(buffer: Array, shapes: Sequence[Shapes]) -> list[Array]:
    """Cut a buffer (runs, size) into the columns of each layer."""
    return np.split(buffer, list(accumulate(map(size_of, shapes)))[:-1], axis=1)


def numbered(shapes: Sequence[Shapes]) -> dict[str, tuple[int, ...]]:
    """Name what layers have by their numbers, in the order in which it is laid out."""
    return {
        f"{number}.{name}": shape
        for number, of_layer in enumerate(shapes)
        for name, shape in of_layer.items()
    }


class FlatArrays:
    """Arrays of `n_runs` equal networks, all in one buffer.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of each array of one run, by name, in the order in which they are laid out.
    n_runs : int
        Number of runs in the stack.
    dtype : dtype
        float32 or float64.
    order : str
        How the buffer lies in memory: ``C``, run by run, or ``F``, number by number.

    Attributes
    ----------
    values : ndarray of shape (runs, size)
        All numbers, one run a row.
    """

    def __init__(self, shapes: Shapes, n_runs: int, dtype: DTypeLike, order: Order = "C") -> None:
        self.order: Order = order
        self.shapes = dict(shapes)
        self.values: Array = np.zeros((n_runs, size_of(shapes)), dtype, order)

    @property
    def n_runs(self) -> int:
        """Number of runs in the stack."""
        return len(self.values)

    def views(self, buffer: Array) -> dict[str, Array]:
        """Cut a buffer that is laid out as `values` is into views (runs, *shape), by name."""
        return cut(buffer, self.shapes)

    def __getitem__(self, name: str) -> Array:
        """Return the view (runs, *shape) of one array."""
        return self.views(self.values)[name]

    def keep(self, rows: Indices) -> None:
        """Go on with the runs at these positions among those left; earlier views are void."""
        self.values = np.array(self.values[rows], order=self.order)


class Parameters(FlatArrays):
    """The parameters of `n_runs` equal networks, and their gradients.

    Attributes
    ----------
    values, gradients : ndarray of shape (runs, n_parameters)
        All parameters, one run a row, and each run's derivatives of its loss.

    Examples
    --------
    >>> parameters = Parameters({"weight": (4, 2), "bias": (2,)}, n_runs=3, dtype=np.float64)
    >>> parameters.values.shape, parameters["weight"].shape
    ((3, 10), (3, 4, 2))
    """

    @cached_property
    def gradients(self) -> Array:
        """Laid out as `values` is."""
        return np.zeros_like(self.values)

    @property
    def n_parameters(self) -> int:
        """Number of parameters of one run."""
        return size_of(self.shapes)

    def keep(self, rows: Indices) -> None:
        self.gradients = np.array(self.gradients[rows], order=self.order)
        super().keep(rows)
