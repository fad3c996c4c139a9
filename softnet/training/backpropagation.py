"""From the rows of a batch to the gradients of a stack of runs, in the way that suits its network.

The shapes of a network and of its batches choose the way, never the number of runs: a run has the
same bits alone and in a stack.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from softnet.losses.softmax_cross_entropy import one_hot
from softnet.network import Network
from softnet.stack.arrays import Array, Indices, Kept
from softnet.stack.parameters import Parameters
from softnet.training.settings import Examples
from softnet.training.small_networks import SideBySide, is_small


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
        """Go on with these runs alone; the network has been cut already.

        Parameters
        ----------
        rows : ndarray of int, shape (n_kept,)
            Positions among the runs that are left by now, not in the stack as it began.
        """
        ...


class RunByRun:
    """Gradients by the network's own layers, which hand the product of each run to BLAS.

    The first layer is spared its bias: it is one more row of the weight, behind which it lies in
    memory, and each row of the batch is gathered with a one behind its features.

    Parameters
    ----------
    network : Network
        What is trained: its parameters are those that an optimizer updates.
    train : Examples
        Training rows, in the network's dtype.
    """

    def __init__(self, network: Network, train: Examples) -> None:
        self._network = network
        # Features, the one and the one-hot class side by side: a batch is gathered in one go.
        ones = np.ones((len(train.y), 1), network.dtype)
        targets = one_hot(train.y, network.layer_sizes[-1], network.dtype)
        self._rows = np.concatenate([train.X, ones, targets], axis=1)
        self._bind()

    def _bind(self) -> None:
        n_runs, (n_in, n_out) = self.parameters.n_runs, self._network.layer_sizes[:2]
        shape = (n_runs, n_in + 1, n_out)
        self._W, self._d_W = (
            buffer[:, : shape[1] * n_out].reshape(shape)
            for buffer in (self.parameters.values, self.parameters.gradients)
        )
        self._output = Kept(self._network.dtype)
        self._batches: dict[tuple[int, ...], tuple[Array, ...]] = {}

    @property
    def parameters(self) -> Parameters:
        """The network's own."""
        return self._network.parameters

    def __call__(self, rows: Indices) -> None:
        """Write `parameters.gradients` for the rows (runs, batch) that each run sees."""
        network = self._network
        X, X_T, targets = self._gather(rows)
        output = np.matmul(X, self._W, out=self._output[*rows.shape, self._W.shape[-1]])
        for layer in network.layers[1:]:
            output = layer.forward(output)
        d_output = network.loss.gradient(output, targets)
        for layer in reversed(network.layers[1:]):
            d_output = layer.backward(d_output)
        np.matmul(X_T, d_output, out=self._d_W)

    def _gather(self, rows: Indices) -> tuple[Array, ...]:
        """Return each run's X, its transpose and one-hot classes, until the next of that shape."""
        if rows.shape not in self._batches:
            batch = np.empty((*rows.shape, self._rows.shape[1]), self._network.dtype)
            X, targets = np.split(batch, [self._W.shape[1]], axis=-1)
            self._batches[rows.shape] = batch, X, X.swapaxes(-1, -2), targets
        batch, *views = self._batches[rows.shape]
        # "clip" skips the copy that protects `out` from an index out of range.
        self._rows.take(rows, 0, batch, "clip")
        return tuple(views)

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone, positions in the present stack."""
        self._bind()


def gradients_of(network: Network, train: Examples, batch_size: int) -> Gradients:
    """Return what is fastest for a network, with batches of up to so many rows."""
    small = is_small(network.layer_sizes, batch_size)
    return (SideBySide if small else RunByRun)(network, train)
