"""One flat buffer for all weights of all runs, with named views into it.

Every optimizer step, norm, checkpoint and digest is then one operation on one array, whatever
the depth of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from softnet.stack.arrays import Array, Indices, Order


class Parameters:
    """The parameters of `n_runs` equal networks, and their gradients.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of each parameter of one run, by name, in the order in which they are laid out.
    n_runs : int
        Number of runs in the stack.
    dtype : dtype
        float32 or float64.
    order : str
        How the buffers lie in memory: ``C``, run by run, or ``F``, parameter by parameter.

    Attributes
    ----------
    values : ndarray of shape (runs, n_parameters)
        All parameters, one run a row.
    gradients : ndarray of shape (runs, n_parameters)
        The derivative of each run's loss with respect to `values`.

    Examples
    --------
    >>> parameters = Parameters({"weight": (4, 2), "bias": (2,)}, n_runs=3, dtype=np.float64)
    >>> parameters.values.shape, parameters["weight"].shape
    ((3, 10), (3, 4, 2))
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        n_runs: int,
        dtype: np.dtype[Any] | type[np.floating[Any]],
        order: Order = "C",
    ) -> None:
        self.order: Order = order
        self.shapes = dict(shapes)
        self.n_parameters = sum(prod(shape) for shape in self.shapes.values())
        self.values: Array = np.zeros((n_runs, self.n_parameters), dtype, order)
        self.gradients: Array = np.zeros_like(self.values)

    @property
    def n_runs(self) -> int:
        """Number of runs in the stack."""
        return len(self.values)

    def views(self, buffer: Array) -> dict[str, Array]:
        """Cut a buffer into the parameters, by name.

        Parameters
        ----------
        buffer : ndarray of shape (runs, n_parameters)
            `values`, `gradients`, or another array laid out as they are.

        Returns
        -------
        dict of str to ndarray of shape (runs, *shape)
            Views: what is written into them is written into the buffer.
        """
        views: dict[str, Array] = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + prod(shape)
            views[name] = buffer[:, start:stop].reshape(len(buffer), *shape)
            start = stop
        return views

    def __getitem__(self, name: str) -> Array:
        """Return the view (runs, *shape) of one parameter's values."""
        return self.views(self.values)[name]

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone; views that were taken before are void.

        Parameters
        ----------
        rows : ndarray of int, shape (n_kept,)
            Positions among the runs that are left by now, not in the stack as it began.
        """
        self.values = np.array(self.values[rows], order=self.order)
        self.gradients = np.array(self.gradients[rows], order=self.order)
