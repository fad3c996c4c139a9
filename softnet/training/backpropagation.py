"""From the rows of a batch to the gradients of a stack of runs.

A network's layers, their shapes and the batch choose how they are computed, never the number of
runs: a run has the same bits alone and in a stack.
"""

from __future__ import annotations

import numpy as np

from softnet.network import Network
from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import Parameters
from softnet.training import small_networks
from softnet.training.settings import Examples
from softnet.training.small_networks import SideBySide


class LayerByLayer:
    """Gradients by backpropagation through the network's own layers.

    The training rows are in the network's dtype.
    """

    def __init__(self, network: Network, train: Examples) -> None:
        self._network = network
        # Features, perhaps a one, and targets side by side: a batch is gathered in one go.
        n_ones = int(network.layers[0].takes_ones)
        ones = np.ones((len(train.X), n_ones), network.dtype)
        targets = network.loss.targets(train.y, network.n_outputs)
        columns = [train.X, ones, targets]
        if train.weights is not None:
            columns.append(train.weights[:, None].astype(network.dtype))
        self._rows = np.concatenate(columns, axis=1)
        self._ends = np.cumsum([train.X.shape[1] + n_ones, targets.shape[1]])
        self._batches: dict[tuple[int, ...], list[Array]] = {}

    @property
    def parameters(self) -> Parameters:
        """The network's own."""
        return self._network.parameters

    def __call__(self, rows: Indices) -> None:
        """Write `parameters.gradients` for the rows (runs, batch) that each run sees."""
        network = self._network
        X, targets, weights = self._gather(rows)
        outputs = network.forward(X, training=True)
        d_outputs = network.loss.gradient(outputs, targets)
        if weights.shape[-1]:
            np.multiply(d_outputs, weights, out=d_outputs)
        network.backward(d_outputs)

    def _gather(self, rows: Indices) -> list[Array]:
        """Return each run's rows, their targets and weights, until the next of that shape."""
        if rows.shape not in self._batches:
            batch = np.empty((*rows.shape, self._rows.shape[1]), self._network.dtype)
            self._batches[rows.shape] = [batch, *np.split(batch, self._ends, axis=-1)]
        batch, *parts = self._batches[rows.shape]
        # "clip" skips the copy that protects `out` from an index out of range.
        self._rows.take(rows, 0, batch, "clip")
        settings = self._network.settings
        if settings.shares_weights:  # the rows of each member have outputs of their own
            parts[1:] = [np.tile(part, (1, settings.n_members, 1)) for part in parts[1:]]
        return parts

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone, positions in the present stack."""
        self._batches = {}


def gradients_of(network: Network, train: Examples, batch_size: int) -> LayerByLayer | SideBySide:
    """Return what is fastest for a network, with batches of up to so many rows."""
    fast = train.weights is None and small_networks.supports(network, batch_size)
    return (SideBySide if fast else LayerByLayer)(network, train)
