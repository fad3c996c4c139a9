"""Metrics: how good predictions are, one number per run.

Rows are taken in blocks of a fixed number, so that evaluating a large data set needs little
memory. The blocks do not depend on how many runs are stacked: neither do the bits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from softnet.losses.base import Loss
from softnet.network import Network
from softnet.stack.arrays import Array

ROWS_PER_BLOCK = 128

PerRun = NDArray[np.float64]
Shares = NDArray[np.float64] | None
_SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class Metric(ABC):
    """A number for each run, from what the network puts out and what the rows are known to be."""

    higher_is_better: ClassVar[bool]
    # The least and the most that it can be.
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    # The tasks that it is measured of besides what is always measured of them: ``classification``,
    # ``regression``, ``multilabel``.
    tasks: ClassVar[tuple[str, ...]] = ()
    # Whether it is about what training minimizes: rows have their weights there as factors.
    is_minimized: ClassVar[bool] = False

    @abstractmethod
    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        """Return what is needed of some rows, for instance a number for each, (runs, rows, ...).

        `loss` says what the `outputs` (runs, rows, n_outputs) mean; `y` is as the examples have it.
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


class RootMeanSquaredError(MeanLoss):
    """The root of the mean squared error, in the units of the target."""

    def total(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> PerRun:
        root: NDArray[np.float64] = np.sqrt(super().total(values, y, shares))
        return root


class Accuracy(Metric):
    """The share of rows whose most probable class is right; of several labels, whose all are."""

    higher_is_better = True
    bounds = _SHARE

    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        if y.ndim == 2:
            all_right: NDArray[Any] = ((outputs >= 0) == (y > 0)).all(axis=-1)
            return all_right
        right: NDArray[Any] = np.argmax(outputs, axis=-1) == y
        return right

    def total(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> PerRun:
        if shares is not None:
            return super().total(values, y, shares)
        # The mean as well: counting takes less time than converting.
        right: PerRun = np.divide(np.count_nonzero(values, axis=-1), len(y))
        return right


class Predicted:
    """The predictions of a stack, and what several metrics need of them, worked out once.

    Parameters
    ----------
    values : ndarray of shape (runs, rows, n_outputs)
        What `Loss.predictions` returns, for instance the probability of each class.
    y : ndarray of shape (rows,) or (rows, n_outputs)
        The class of each row, or a 0 or 1 for each label.
    shares : ndarray of shape (rows,) or None
        How much each row counts; None that all count alike.
    """

    def __init__(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> None:
        # Rows in the last axis: sums over it have the same bits for any number of runs.
        self.values = np.ascontiguousarray(values.swapaxes(1, 2), np.float64)
        self.y = y
        self.shares = np.ones(len(y)) if shares is None else shares
        self._areas: dict[int, NDArray[np.float64]] = {}

    def mean(self, of_rows: NDArray[np.float64]) -> PerRun:
        """Return the mean over the rows, the last axis, each by its share."""
        # In the order of memory, which an array of one run chooses otherwise than one of several.
        counted = np.multiply(of_rows, self.shares, order="C")
        total: NDArray[np.float64] = np.add.reduce(counted, axis=-1)
        return np.divide(total, np.add.reduce(self.shares))

    @property
    def n_labels(self) -> int:
        """Classes or labels, one for each output."""
        return len(self.values[0])

    @property
    def judged(self) -> range:
        """The labels that curves are of: of two classes the last one alone."""
        return range(int(self.y.ndim == 1 and self.n_labels == 2), self.n_labels)

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """Whether each row has each label, (n_labels, rows)."""
        labels = np.arange(self.n_labels)
        return self.y.T > 0 if self.y.ndim == 2 else labels[:, None] == self.y

    @cached_property
    def counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """How many rows of each label were found, were said to have it, and have it.

        Each by their shares; (runs, n_labels), (runs, n_labels) and (n_labels,).
        """
        if self.y.ndim == 2:
            said = self.values >= 0.5
        else:
            chosen = np.argmax(self.values, axis=1)
            said = chosen[:, None] == np.arange(self.n_labels)[:, None]
        sums = (np.add.reduce(x * self.shares, -1) for x in (said & self.truth, said, self.truth))
        found, predicted, actual = sums
        return found, predicted, actual

    def areas(self, label: int) -> NDArray[np.float64]:
        """Return the areas (2, runs) under the ROC and the precision-recall steps of a label.

        NaN where all rows have it, or none.
        """
        if label not in self._areas:
            pairs = [self._areas_under(scores, label) for scores in self.values[:, label]]
            self._areas[label] = np.array(pairs).T
        return self._areas[label]

    def _areas_under(self, scores: NDArray[np.float64], label: int) -> tuple[float, float]:
        _, wrong, right = ranking_curve(scores, self.truth[label], self.shares)
        n_wrong, n_right = wrong[-1], right[-1]
        under = np.diff(wrong, prepend=0) * (right + np.append(0, right[:-1]))
        both = np.where(right + wrong > 0, right + wrong, 1)  # rows may count nothing
        steps = np.diff(right, prepend=0) * right / both
        area, step = (np.add.reduceat(parts, [0])[0] for parts in (under, steps))
        # NaN, which is 0 / 0, where one of them is missing.
        with np.errstate(invalid="ignore"):
            return area / (2 * n_right * n_wrong), step / n_right if n_wrong > 0 else np.nan


def ranking_curve(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each distinct score from the highest on, and how many rows score at least so much.

    Those without and those with the label, which `truth` (rows,) says, each by its share.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, has_label, counts = scores[order], truth[order], shares[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    wrong, right = (np.cumsum(counts * of)[ends] for of in (~has_label, has_label))
    return ordered[ends], wrong, right


class Score(Metric):
    """A metric of all predictions together, no mean over the rows."""

    higher_is_better = True

    def of_rows(self, loss: Loss, outputs: Array, y: NDArray[Any]) -> NDArray[Any]:
        return loss.predictions(outputs)

    def total(self, values: NDArray[Any], y: NDArray[Any], shares: Shares = None) -> PerRun:
        return self.of(Predicted(values, y, shares))

    @abstractmethod
    def of(self, predicted: Predicted) -> PerRun:
        """Return the metric of each run."""


class MeanAbsoluteError(Score):
    """The mean absolute error, in the units of the target."""

    higher_is_better = False

    def of(self, predicted: Predicted) -> PerRun:
        return predicted.mean(np.abs(predicted.values[:, 0] - predicted.y))


class R2(Score):
    """The share of the target's variance that is explained; of equal targets 0, or 1 if right."""

    bounds = (-math.inf, 1.0)

    def of(self, predicted: Predicted) -> PerRun:
        y = predicted.y
        left = predicted.mean(np.square(predicted.values[:, 0] - y))
        variance = predicted.mean(np.square(y - predicted.mean(y)))
        explained: NDArray[np.float64] = 1 - left / (variance or np.nan)
        return explained if variance else np.where(left == 0, 1.0, 0.0)


class Brier(Score):
    """The mean squared error of probabilities (Brier 1950).

    Of two classes that of the last one; of more the sum, and of several labels the mean over them.
    """

    higher_is_better = False

    def of(self, predicted: Predicted) -> PerRun:
        squares = np.square(predicted.values - predicted.truth)[:, predicted.judged]
        n_means = predicted.n_labels if predicted.y.ndim == 2 else 1
        total: NDArray[np.float64] = np.add.reduce(predicted.mean(squares), axis=-1)
        return np.divide(total, n_means)


class RocAuc(Score):
    """The area under the ROC curve; the mean of one class against the rest where there are more."""

    bounds = _SHARE

    def of(self, predicted: Predicted) -> PerRun:
        return _mean_of([predicted.areas(label)[0] for label in predicted.judged])


class AveragePrecision(Score):
    """The area under the precision-recall steps, averaged as `RocAuc` is."""

    bounds = _SHARE

    def of(self, predicted: Predicted) -> PerRun:
        return _mean_of([predicted.areas(label)[1] for label in predicted.judged])


class BalancedAccuracy(Score):
    """The mean recall of the classes that the rows have."""

    bounds = _SHARE

    def of(self, predicted: Predicted) -> PerRun:
        found, _, actual = predicted.counts
        there = np.flatnonzero(actual)
        return _mean_of([found[:, label] / actual[label] for label in there])


class F1Macro(Score):
    """The mean F1 score of the classes that the rows or the predictions have, or of all labels."""

    bounds = _SHARE

    def of(self, predicted: Predicted) -> PerRun:
        found, said, actual = predicted.counts
        there = said + actual > 0
        scores = np.where(there, 2 * found / np.where(there, said + actual, 1), 0)
        n_there = predicted.n_labels if predicted.y.ndim == 2 else np.add.reduce(there, axis=-1)
        mean: NDArray[np.float64] = np.add.reduce(scores, axis=-1) / n_there
        return mean


@dataclass(frozen=True)
class Precision(Score):
    """The share of the rows said to have a label that have it; 0 where none is said to.

    `label` is the number of the output.
    """

    bounds = _SHARE

    label: int

    def of(self, predicted: Predicted) -> PerRun:
        found, said, _ = (counts[..., self.label] for counts in predicted.counts)
        return found / np.where(said > 0, said, 1)


class Recall(Precision):
    """The share of the rows with a label that are said to have it; 0 where none has it."""

    def of(self, predicted: Predicted) -> PerRun:
        found, _, actual = (counts[..., self.label] for counts in predicted.counts)
        return found / np.where(actual > 0, actual, 1)


def _mean_of(values: Sequence[PerRun]) -> PerRun:
    """Return the mean of some values of each run, summed one after the other."""
    mean: PerRun = sum(values[1:], values[0]) / len(values)
    return mean


METRICS: dict[str, type[Metric]] = {
    "loss": MeanLoss,
    "accuracy": Accuracy,
    "balanced_accuracy": BalancedAccuracy,
    "f1_macro": F1Macro,
    "roc_auc": RocAuc,
    "average_precision": AveragePrecision,
    "brier": Brier,
    "rmse": RootMeanSquaredError,
    "mae": MeanAbsoluteError,
    "r2": R2,
}
# Of one label, after whose name they are called: recall_yes.
LABEL_METRICS: dict[str, type[Precision]] = {"precision": Precision, "recall": Recall}
# What can be recorded besides, but is no measure by which runs are compared.
OBJECTIVE = "objective"


def is_metric(name: str) -> bool:
    """Tell whether a name such as ``val/loss`` or ``recall_yes`` ends in that of a metric."""
    kind = name.rpartition("/")[2]
    return kind in METRICS or kind.partition("_")[0] in LABEL_METRICS


def higher_is_better(name: str) -> bool:
    """Tell the direction of a metric such as ``val/loss`` from the last part of its name."""
    kind = name.rpartition("/")[2]
    if kind == OBJECTIVE:
        return False
    of_label = LABEL_METRICS.get(kind.partition("_")[0])
    return (of_label or METRICS[kind]).higher_is_better


def metric_named(name: str, labels: Sequence[str] = ()) -> Metric:
    """Return the metric of a name, as `evaluate` takes it."""
    if name == OBJECTIVE:
        return Objective()
    if name in METRICS:
        return METRICS[name]()
    kind, _, label = name.partition("_")
    return LABEL_METRICS[kind](labels.index(label))


def evaluate(
    network: Network,
    X: Array,
    y: NDArray[Any],
    names: Sequence[str] = ("loss", "accuracy"),
    shares: Shares = None,
    weights: Shares = None,
    labels: Sequence[str] = (),
) -> dict[str, NDArray[np.float64]]:
    """Measure each run of a network on the same rows.

    Parameters
    ----------
    network : Network
        A stack of runs.
    X, y, shares, weights : ndarray or None
        As `Examples` has them, in the network's dtype.
    names : sequence of str
        Keys of `METRICS`, ``objective``, the mean of what is minimized, or one of `LABEL_METRICS`
        and a label: ``recall_yes``.
    labels : sequence of str
        Names of the outputs, for metrics of one of them.

    Returns
    -------
    dict of str to ndarray of shape (runs,)
        By these names.
    """
    metrics = {name: metric_named(name, labels) for name in names}
    # All scores are of the same predictions.
    kinds = {name: Score if isinstance(of, Score) else name for name, of in metrics.items()}
    makers = {kinds[name]: metric for name, metric in metrics.items()}
    parts: dict[type[Score] | str, list[NDArray[Any]]] = {kind: [] for kind in makers}
    for start in range(0, len(y), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        outputs = network.outputs(X[None, rows])
        for kind, values in parts.items():
            values.append(makers[kind].of_rows(network.loss, outputs, y[rows]))
    of_all = {kind: np.concatenate(values, axis=1) for kind, values in parts.items()}
    found: dict[str, PerRun] = {}
    if Score in of_all:
        predicted = Predicted(of_all[Score], y, shares)
        is_finite = np.isfinite(predicted.values).all(axis=(1, 2))
    for name, metric in metrics.items():
        if isinstance(metric, Score):
            found[name] = np.where(is_finite, metric.of(predicted), np.nan)
        else:
            by = weights if metric.is_minimized else shares
            found[name] = metric.total(of_all[name], y, by)
    return found
