"""Metrics: how good predictions are, one number per run.

Rows are taken in blocks of a fixed number, so that evaluating a large data set needs little
memory. The blocks do not depend on how many runs are stacked: neither do the bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softnet.stack.arrays import Array, Indices

if TYPE_CHECKING:
    from softnet.network import Network

ROWS_PER_BLOCK = 128

# What a larger value means, for whoever chooses by a metric.
HIGHER_IS_BETTER = {"loss": False, "accuracy": True}


def evaluate(network: Network, X: Array, y: Indices) -> dict[str, NDArray[np.float64]]:
    """Measure each run of a network on the same rows.

    Parameters
    ----------
    network : Network
        A stack of runs.
    X : ndarray of shape (n_samples, n_features)
        Rows, in the network's dtype.
    y : ndarray of int, shape (n_samples,)
        Class of each row.

    Returns
    -------
    dict of str to ndarray of shape (runs,)
        ``loss``, the mean cross-entropy in nats, and ``accuracy``, the share of rows whose most
        probable class is right.
    """
    losses, hits = [], []
    for start in range(0, len(y), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        logits = network.forward(X[None, rows])
        losses.append(network.loss.row_losses(logits, y[rows]))
        hits.append(np.argmax(logits, axis=-1) == y[rows])
    # Summed in float64, and converted before: a sum that converts on its way does so in pieces
    # whose bounds, and with them the last bits, depend on how many runs there are.
    row_losses = np.concatenate(losses, axis=-1).astype(np.float64)
    right = np.concatenate(hits, axis=-1)
    return {
        "loss": np.add.reduce(row_losses, axis=-1) / len(y),
        "accuracy": np.count_nonzero(right, axis=-1) / len(y),
    }
