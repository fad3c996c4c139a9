"""Metrics: how good predictions are, one number per run.

Rows are taken in blocks of a fixed number, so that evaluating a large data set needs little
memory. The blocks do not depend on how many runs are stacked: neither do the bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from softnet.losses.base import Loss
from softnet.network import Network
from softnet.stack.arrays import Array

ROWS_PER_BLOCK = 128

PerRun = NDArray[np.float64]
Shares = NDArray[np.float64] | None


@dataclass(frozen=True)
class Metric(ABC):
    """A number for each run, from what the network puts out and what the rows are known to be."""

    higher_is_better: ClassVar[bool]
    # Whether it is about what training minimizes: rows have their weights there as factors.
    is_minimized: ClassVar[bool] = False

    @abstractmethod
    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        """Return what is needed of some rows, for instance a number for each.

        Parameters
        ----------
        loss : Loss
            The network's, which says what its outputs mean.
        outputs : ndarray of shape (runs, rows, n_outputs)
            Of the network.
        y : ndarray of shape (rows, ...)
            As the examples have it.

        Returns
        -------
        ndarray of shape (runs, rows, ...)
            A new array.
        """

    def total(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> PerRun:
        """Return the metric of each run, from `of_rows` of all rows; by default their mean.

        `shares` (rows,) says how much each row counts, None that all count alike.
        """
        # Summed in float64, and converted before: a sum that converts on its way does so in pieces
        # whose bounds, and with them the last bits, depend on how many runs there are.
        wide = values.astype(np.float64)
        if shares is not None:
            wide *= shares / (np.add.reduce(shares) / len(shares))
        total: PerRun = np.add.reduce(wide, axis=-1)
        return np.divide(total, values.shape[-1])


class MeanLoss(Metric):
    """The mean of the loss over the rows; of a classifier the cross-entropy in nats."""

    higher_is_better = False

    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        return loss.row_losses(outputs, y)


class Objective(MeanLoss):
    """The mean of what is minimized: with row weights, label smoothing, a loss of another kind."""

    is_minimized = True

    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        return loss.row_objectives(outputs, y)

    def total(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> PerRun:
        # The weights as they are: they are factors in training, too.
        return super().total(values if shares is None else values * shares, y)


class Accuracy(Metric):
    """The share of rows whose most probable class is right."""

    higher_is_better = True

    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        right: NDArray[Any] = np.argmax(outputs, axis=-1) == y
        return right

    def total(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> PerRun:
        if shares is not None:
            return super().total(values, y, shares)
        # The mean as well: counting takes less time than converting.
        right: PerRun = np.divide(np.count_nonzero(values, axis=-1), len(y))
        return right


METRICS: dict[str, type[Metric]] = {
    "loss": MeanLoss,
    "accuracy": Accuracy,
}
# What can be recorded besides, but is no measure by which runs are compared.
OBJECTIVE = "objective"


def higher_is_better(name: str) -> bool:
    """Tell the direction of a metric such as ``val/loss`` from the last part of its name."""
    return _metric(name.rpartition("/")[2]).higher_is_better


def _metric(name: str) -> type[Metric]:
    return Objective if name == OBJECTIVE else METRICS[name]


def evaluate(
    network: Network,
    X: Array,
    y: NDArray[Any],
    names: Sequence[str] = ("loss", "accuracy"),
    shares: Shares = None,
    weights: Shares = None,
) -> dict[str, PerRun]:
    """Measure each run of a network on the same rows.

    Parameters
    ----------
    network : Network
        A stack of runs.
    X : ndarray of shape (n_samples, n_features)
        Rows, in the network's dtype.
    y : ndarray of shape (n_samples, ...)
        What the network's loss takes, for instance the class of each row.
    names : sequence of str
        Keys of `METRICS`, or ``objective``: the mean of what is minimized.
    shares, weights : ndarray of shape (n_samples,) or None
        As `Examples` has them: how much a row counts, and its factor in the objective.

    Returns
    -------
    dict of str to ndarray of shape (runs,)
        By these names.
    """
    metrics = {name: _metric(name)() for name in names}
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in metrics}
    for start in range(0, len(y), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        outputs = network.forward(X[None, rows])
        for name, metric in metrics.items():
            parts[name].append(metric.of_rows(network.loss, outputs, y[rows]))
    return {
        name: metric.total(
            np.concatenate(parts[name], axis=1), y, weights if metric.is_minimized else shares
        )
        for name, metric in metrics.items()
    }
