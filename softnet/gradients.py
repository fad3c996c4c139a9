"""From the rows of a batch to the gradients of a stack of runs, in the way that suits its network.

The shapes of a network and of its batches choose the way, never the number of runs: a run has the
same bits alone and in a stack.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from softnet.arrays import Array, Indices
from softnet.losses import one_hot
from softnet.network import Network
from softnet.parameters import Parameters
from softnet.runs import Examples
from softnet.side_by_side import SideBySide, is_small


class Gradients(Protocol):
    """Writes the gradients of its parameters for batches of the training rows."""

    @property
    def parameters(self) -> Parameters:
        """Those that an optimizer is to update; `order` says how they lie in memory."""
        ...

    def __call__(self, rows: Indices) -> None:
        """Write `parameters.gradients` for the rows (runs, batch) that each run sees."""
        ...

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone; the network has been cut already."""
        ...


class RunByRun:
    """Gradients by the network's own layers, which hand the product of each run to BLAS.

    Parameters
    ----------
    network : Network
        What is trained: its parameters are those that an optimizer updates.
    train : Examples
        Training rows, in the network's dtype.
    """

    def __init__(self, network: Network, train: Examples) -> None:
        self._network = network
        # Rows and their one-hot classes side by side: a batch is gathered in one go.
        targets = one_hot(train.y, network.layer_sizes[-1], network.dtype)
        self._rows = np.concatenate([train.X, targets], axis=1)
        self._batches: dict[tuple[int, ...], tuple[Array, Array, Array]] = {}

    @property
    def parameters(self) -> Parameters:
        """The network's own."""
        return self._network.parameters

    def __call__(self, rows: Indices) -> None:
        """Write `parameters.gradients` for the rows (runs, batch) that each run sees."""
        network = self._network
        X, targets = self._gather(rows)
        network.backward(network.loss.gradient(network.forward(X), targets))

    def _gather(self, rows: Indices) -> tuple[Array, Array]:
        """Return each run's batch and its one-hot classes; the next of that shape overwrites it."""
        if rows.shape not in self._batches:
            n_features = self._network.layer_sizes[0]
            batch = np.empty((*rows.shape, self._rows.shape[1]), self._network.dtype)
            self._batches[rows.shape] = batch, batch[..., :n_features], batch[..., n_features:]
        batch, X, targets = self._batches[rows.shape]
        # "clip" skips the copy that protects `out` from an index out of range.
        self._rows.take(rows, 0, batch, "clip")
        return X, targets

    def keep(self, rows: Indices) -> None:
        """Forget the batches of more runs."""
        self._batches = {}


def gradients_of(network: Network, train: Examples, batch_size: int) -> Gradients:
    """Return what is fastest for a network, with batches of up to so many rows."""
    small = is_small(network.layer_sizes, batch_size)
    return (SideBySide if small else RunByRun)(network, train)
