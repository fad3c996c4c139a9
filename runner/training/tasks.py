"""The kinds of task: how each encodes its target, its losses and metrics, and its answers.

Each kind is a class and a line in `TASKS`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.training.cells import LARGEST_WHOLE, TRUTH
from softnet import (
    LOSSES,
    METRICS,
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    LossSettings,
    SoftmaxCrossEntropy,
    SquaredError,
    metric_named,
)

if TYPE_CHECKING:
    from runner.training.data.columns import Column

# Targets and what the outputs stand for; targets and which rows have one; columns by name.
Encoded = tuple[NDArray[Any], tuple[str, ...]]
Recoded = tuple[NDArray[Any], NDArray[np.bool_]]
Table = dict[str, NDArray[Any]]

# More distinct whole numbers than this are quantities, unless `task` says that they are classes.
_MOST_CLASSES = 20
_MOST_NAMED = 6
# A class that is a number, and no code such as 01.
_NUMBER = r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]\d+)?"
# With more labels than this, none has metrics of its own.
_MOST_MEASURED = 50


@dataclass(frozen=True)
class Target:
    """What the outputs of a network stand for."""

    task: str  # a key of `TASKS`
    names: tuple[str, ...]  # one for each output: the classes, the labels, or the quantity
    # A quantity is learned as ``(y - shift) / scale``.
    shift: float = 0.0
    scale: float = 1.0
    # How the 0 and the 1 of each label are written, or the one of them that occurs. Empty for
    # other tasks, and in records of earlier versions.
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names as they stand in those of metrics; empty where there are too many."""
        plain = [re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:40] or "_" for name in self.names]
        if len(set(plain)) < len(plain):
            plain = [f"{name}_{number}" for number, name in enumerate(plain)]
        return tuple(plain) if len(plain) <= _MOST_MEASURED else ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured at the end, the loss first, then what every evaluation has."""
        task = TASKS[self.task]
        of_labels = [f"{kind}_{label}" for kind in task.label_metrics for label in self.labels]
        further = [name for name, kind in METRICS.items() if self.task in kind.tasks]
        return ("loss", *task.metrics, *further, *of_labels)

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold; of classes their names alone, as before there was more."""
        more: dict[str, Any] = {"task": self.task, "shift": self.shift, "scale": self.scale}
        if self.words:
            more["words"] = [list(words) for words in self.words]
        is_new = self.task != "classification"
        return {"class_names": list(self.names), **(more if is_new else {})}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Target:
        """Rebuild what `to_dict` gave, which may stand among other things."""
        more = {key: content[key] for key in ("shift", "scale") if key in content}
        more["words"] = tuple(map(tuple, content.get("words", ())))
        return cls(content.get("task", "classification"), tuple(content["class_names"]), **more)

    def loss(self, name: str | None = None, label_smoothing: float = 0.0) -> LossSettings:
        """Return the loss that is minimized, by default the plain one that is reported.

        Raises `ConfigError` if the task has no such loss.
        """
        losses = {**TASKS[self.task].losses}
        plain = next(iter(losses.values()))
        # Those of plugins are of the task whose plain loss they derive from.
        for other, kind in LOSSES.items():
            if issubclass(kind, plain) and kind not in losses.values():
                losses[other] = kind
        if name is not None and name not in losses:
            names = f"one of {', '.join(losses)}, or null" if len(losses) > 1 else "null"
            raise ConfigError("training.loss", f"{names} for task={self.task}", name)
        kind = losses[name or next(iter(losses))]
        if label_smoothing and kind is not SoftmaxCrossEntropy:
            rule = f"0 for task={self.task}"
            raise ConfigError("training.label_smoothing", rule, label_smoothing)
        if issubclass(kind, SquaredError):
            return kind.Settings(shift=self.shift, scale=self.scale)
        if label_smoothing:
            return SoftmaxCrossEntropy.Settings(label_smoothing)
        return kind.Settings()


class Task(ABC):
    """A kind of task."""

    # By the names that `training.loss` has for them; the first is the plain one.
    losses: ClassVar[Mapping[str, type[Loss]]]
    # Besides the loss; the first is measured at every evaluation.
    metrics: ClassVar[tuple[str, ...]]
    label_metrics: ClassVar[tuple[str, ...]] = ("precision", "recall")
    # Whether a split can give each part its share of every value.
    stratifies: ClassVar[bool] = False
    # Whether predictions are float64 whatever the network has, as their units take more digits.
    is_double: ClassVar[bool] = False

    @abstractmethod
    def encode(self, columns: Sequence[Column], positive: str | None = None) -> Encoded:
        """Turn one target column, or those of several labels, into what the loss takes.

        The class `positive` comes last of two, and is what curves and thresholds are of. Returns
        classes, quantities, or a 0 or 1 for each label, of shape (n_samples,) or (n_samples,
        n_outputs), and what the outputs stand for. Raises `DataError` if they are not of this kind.
        Raises `ConfigError` if there is no class that is called `positive`.
        """

    @abstractmethod
    def recode(self, columns: Sequence[Column], target: Target) -> Recoded:
        """Encode the target columns of other rows, and say which rows have a recorded target."""

    def target(self, y: NDArray[Any], names: Sequence[str]) -> Target:
        """Return what the outputs stand for, given the targets of the training rows."""
        return Target(self.name, tuple(names))

    @abstractmethod
    def describe(self, y: NDArray[Any], names: Sequence[str]) -> str:
        """Say in a line what is learned, and how to have it learned in another way."""

    @abstractmethod
    def constant(self, y: NDArray[Any], target: Target) -> NDArray[np.float64]:
        """Return the outputs (n_outputs,) that know no features: shares, or the mean."""

    @abstractmethod
    def table(
        self, predictions: NDArray[Any], names: Sequence[str], threshold: float = 0.5
    ) -> Table:
        """Return predictions (n_samples, n_outputs) as columns, the answer first.

        Of two classes the last is the answer from a probability of `threshold` on.
        """

    @abstractmethod
    def decode(self, y: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        """Return targets as the answers that `table` begins with."""

    @property
    def name(self) -> str:
        """Its key in `TASKS`."""
        return next(name for name, task in TASKS.items() if task is self)


class Classification(Task):
    """One of several classes for each row, by the cross-entropy of the softmax.

    Classes are numbered from 0: words sorted, numbers by their value. Gaps are closed: {0, 2}
    becomes {0, 1}.
    """

    losses: ClassVar[Mapping[str, type[Loss]]] = {"cross_entropy": SoftmaxCrossEntropy}
    metrics = (
        *("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "average_precision", "brier"),
    )
    stratifies = True

    def encode(self, columns: Sequence[Column], positive: str | None = None) -> Encoded:
        (labels,) = columns
        origin, numbers = labels.origin, labels.values
        unique, y = np.unique(numbers, return_inverse=True)
        if labels.kind == "date":
            raise origin.error(0, "a class", "a date", "\ndata.target names another column.")
        if not labels.words:
            # Two fractions are two classes, as any two values.
            whole = (np.floor(numbers) == numbers) | (len(unique) <= 2)
            sound = whole & (np.abs(numbers) < LARGEST_WHOLE)
            if not sound.all():
                row = int(np.argmin(sound))
                number = float(numbers[row])
                got = int(number) if number.is_integer() else number  # without its ".0"
                rule = "a class, which is a word or a whole number below 2**53 in size"
                raise origin.error(row, rule, got, "\ntask=regression learns quantities.")
        names = _class_names(labels, unique)
        if len(names) < 2:
            raise DataError(
                f"{origin.file}, {origin.column}: must hold at least 2 classes, "
                f"got only {shorten(names[0], 60)} in all {len(y):,} rows.\n"
                "data.target names another column."
            )
        return _positive_last(y, names, positive) if positive is not None else (y, names)

    def recode(self, columns: Sequence[Column], target: Target) -> Recoded:
        (labels,) = columns
        unique, codes = np.unique(labels.values, return_inverse=True)
        number = {name: n for n, name in enumerate(target.names)}
        numbers = [number.get(name, -1) for name in _class_names(labels, unique)]
        y = np.array(numbers, np.intp)[codes]
        return y, y >= 0

    def describe(self, y: NDArray[Any], names: Sequence[str]) -> str:
        shares = np.bincount(y, minlength=len(names)) / len(y)
        named = list(zip(names, shares, strict=True))
        shown = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in named[:_MOST_NAMED])
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        numbers = all(re.fullmatch(_NUMBER, name) for name in names)
        other = "; task=regression takes them as quantities" if numbers else ""
        return f"{len(names):,} classes: {shown}{more}{other}"

    def constant(self, y: NDArray[Any], target: Target) -> NDArray[np.float64]:
        counts = np.bincount(y, minlength=len(target.names))
        return np.log(np.maximum(counts, 1e-300) / len(y))

    def table(
        self, predictions: NDArray[Any], names: Sequence[str], threshold: float = 0.5
    ) -> Table:
        classes = np.argmax(predictions, axis=1)
        if len(names) == 2 and threshold != 0.5:
            classes = (predictions[:, 1] >= threshold).astype(np.intp)
        answer = "class"
        while answer in names:
            answer += "_"
        return {answer: self.decode(classes, names), **_by_name(predictions, names)}

    def decode(self, y: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        decoded: NDArray[Any] = np.array(names, object)[y]
        return decoded


def _class_names(labels: Column, values: NDArray[np.float64]) -> tuple[str, ...]:
    """Return what the distinct values of a column are called."""
    if labels.words:
        return tuple("" if np.isnan(code) else labels.words[int(code)] for code in values)
    return tuple(str(int(n)) if n.is_integer() else repr(n) for n in values.tolist())


def _positive_last(y: NDArray[Any], names: tuple[str, ...], positive: str) -> Encoded:
    """Put the positive one of two classes last."""
    choices = ", ".join(shorten(name, 40) for name in names[:_MOST_CLASSES])
    if len(names) != 2:
        rule = f"null for {len(names):,} classes: one of two is positive"
        raise ConfigError("data.positive", rule, positive)
    number = class_number(positive, names)
    if number is None:
        hint = nearest(positive, names)
        raise ConfigError("data.positive", f"one of the classes ({choices})", positive, hint)
    return (y, names) if number == 1 else (1 - y, names[::-1])


def class_number(name: str, names: Sequence[str]) -> int | None:
    """Return the number of a class; true and false are also yes and no, which YAML reads so."""
    if name in names:
        return names.index(name)
    alike = {"true": ("true", "yes", "on"), "false": ("false", "no", "off")}.get(name, ())
    numbers = [number for number, other in enumerate(names) if other.lower() in alike]
    return numbers[0] if len(numbers) == 1 else None


class Regression(Task):
    """A quantity, standardized inside and given in its own units outside."""

    losses: ClassVar[Mapping[str, type[Loss]]] = {
        "squared": SquaredError,
        "absolute": AbsoluteError,
        "huber": Huber,
    }
    metrics = ("rmse", "mae", "r2")
    label_metrics = ()
    is_double = True

    def encode(self, columns: Sequence[Column], positive: str | None = None) -> Encoded:
        (quantity,) = columns
        if quantity.kind != "number":
            got = "a date" if quantity.kind == "date" else quantity.raw_values()[0]
            hint = "\ntask=classification learns words."
            raise quantity.origin.error(0, "a number, which task=regression learns", got, hint)
        if positive is not None:
            raise ConfigError("data.positive", "null for task=regression", positive)
        y = quantity.values
        if y.min() == y.max():
            raise DataError(
                f"{quantity.origin.file}, {quantity.origin.column}: must hold at least 2 different "
                f"numbers, got only {float(y[0])} in all {len(y):,} rows.\n"
                "data.target names another column."
            )
        return y, (quantity.name,)

    def recode(self, columns: Sequence[Column], target: Target) -> Recoded:
        (quantity,) = columns
        is_known = np.isfinite(quantity.values) & (quantity.kind == "number")
        return np.where(is_known, quantity.values, 0.0), is_known

    def describe(self, y: NDArray[Any], names: Sequence[str]) -> str:
        numbers = f"from {y.min():.6g} to {y.max():.6g}, {y.mean():.6g} on average"
        whole = bool((np.floor(y) == y).all())
        other = "; task=classification takes its values as classes" if whole else ""
        return f"{names[0]} is a quantity, {numbers}{other}"

    def target(self, y: NDArray[Any], names: Sequence[str]) -> Target:
        scale = float(y.std())
        # Equal in the training rows alone, or so close that their squares vanish.
        return Target(self.name, tuple(names), float(y.mean()), scale if scale > 0 else 1.0)

    def constant(self, y: NDArray[Any], target: Target) -> NDArray[np.float64]:
        return np.zeros(1)

    def table(
        self, predictions: NDArray[Any], names: Sequence[str], threshold: float = 0.5
    ) -> Table:
        return {"prediction": predictions[:, 0]}

    def decode(self, y: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        return y


class MultiLabel(Task):
    """Any of several labels for each row, by the cross-entropy of a sigmoid each."""

    losses: ClassVar[Mapping[str, type[Loss]]] = {"cross_entropy": BinaryCrossEntropy}
    metrics = ("accuracy", "f1_macro", "roc_auc", "average_precision", "brier")

    def encode(self, columns: Sequence[Column], positive: str | None = None) -> Encoded:
        if positive is not None:
            raise ConfigError("data.positive", "null for task=multilabel", positive)
        for labels in columns:
            values = {float(value) for value in np.unique(labels.values)}
            if len(values) > 2 or not (labels.words or values <= {0.0, 1.0}):
                row = int(np.argmax(~np.isin(labels.values, (0, 1))))
                hint = "\ntask=multilabel takes columns of 0 and 1, or of two words."
                raise labels.origin.error(row, "0 or 1", labels.raw_values().tolist()[row], hint)
        # The second of two words, sorted, is the 1: no and yes.
        y = [c.values > (c.values.min() if c.kind == "words" else 0) for c in columns]
        return np.column_stack(y).astype(np.intp), tuple(labels.name for labels in columns)

    def recode(self, columns: Sequence[Column], target: Target) -> Recoded:
        words = target.words or ((),) * len(columns)
        y = np.column_stack([_label_values(c, of) for c, of in zip(columns, words, strict=True)])
        is_known = np.asarray(np.isin(y, (0, 1)).all(axis=1))
        return np.where(is_known[:, None], y, 0).astype(np.intp), is_known

    def describe(self, y: NDArray[Any], names: Sequence[str]) -> str:
        named = zip(names, y.mean(axis=0), strict=True)
        shown = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in named)
        return f"{len(names):,} labels, of which a row may have any: {shown}"

    def constant(self, y: NDArray[Any], target: Target) -> NDArray[np.float64]:
        shares = np.clip(y.mean(axis=0), 1e-300, 1 - 1e-16)
        logits: NDArray[np.float64] = np.log(shares) - np.log1p(-shares)
        return logits

    def table(
        self, predictions: NDArray[Any], names: Sequence[str], threshold: float = 0.5
    ) -> Table:
        answer = "labels"
        while answer in names:
            answer += "_"
        said = self.decode(predictions >= threshold, names)
        return {answer: said, **_by_name(predictions, names)}

    def decode(self, y: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        rows = [" ".join(name for name, has in zip(names, row, strict=True) if has) for row in y]
        return np.array(rows, object)


def label_words(labels: Column) -> tuple[str, ...]:
    """Return how the 0 and the 1 of a label are written, or the one of them that occurs."""
    if labels.kind != "words":
        return ("0", "1")
    return tuple(labels.words[int(code)] for code in np.unique(labels.values))


def _label_values(labels: Column, words: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the 0 or 1 of each row, NaN for another word; `words` are those of the 0 and the 1."""
    if labels.kind != "words":
        return labels.values
    value = {word: float(number) for number, word in enumerate(words)}
    if words == ("0", "1"):
        value |= {word: TRUTH[word.lower()] for word in labels.words if word.lower() in TRUTH}
    of_words = [value.get(word, np.nan) for word in labels.words]
    return np.array(of_words)[labels.values.astype(np.intp)]


def _by_name(predictions: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    return dict(zip(names, predictions.T, strict=True))


TASKS: dict[str, Task] = {
    "classification": Classification(),
    "regression": Regression(),
    "multilabel": MultiLabel(),
}


def task_of(columns: Sequence[Column]) -> str:
    """Tell the task from the target columns, where nobody says it.

    Words, truth values and two values are classes, fractions are quantities; whole numbers are
    classes up to 20 distinct ones.
    """
    if len(columns) > 1:
        return "multilabel"
    (labels,) = columns
    if labels.kind != "number" or labels.words:
        return "classification"
    unique = np.unique(labels.values)
    is_whole = bool((np.floor(unique) == unique).all())
    are_classes = len(unique) <= 2 or (is_whole and len(unique) <= _MOST_CLASSES)
    return "classification" if are_classes else "regression"


def threshold_metrics(target: Target) -> tuple[str, ...]:
    """Return the metrics that depend on the threshold between two classes."""
    of_labels = (f"{kind}_{label}" for kind in ("precision", "recall") for label in target.labels)
    return ("accuracy", "balanced_accuracy", "f1_macro", *of_labels)


def measured_at(
    thresholds: NDArray[np.float64], predictions: NDArray[Any], y: NDArray[Any], target: Target
) -> dict[str, NDArray[np.float64]]:
    """Measure the answers at each threshold, from which on the last of two classes is predicted.

    The predictions are probabilities, of shape (n_samples, 2). Returns the `threshold_metrics`,
    each of shape (n_thresholds,).
    """
    says_last = predictions[:, 1] >= thresholds[:, None]
    said = np.stack([~says_last, says_last], axis=2)
    others = threshold_metrics(target)[1:]
    scores = {name: metric_named(name, target.labels).total(said, y) for name in others}
    return {"accuracy": (says_last == y).mean(axis=1), **scores}


def best_threshold(
    metric: str, predictions: NDArray[Any], y: NDArray[Any], target: Target
) -> tuple[float, float]:
    """Return the threshold at which one of the `threshold_metrics` is best, and its value.

    Among equally good thresholds it is the one nearest to 1/2.
    """
    levels = np.unique(predictions[:, 1])
    levels = levels[np.linspace(0, len(levels) - 1, min(len(levels), 500)).astype(np.intp)]
    between = np.array([0.5, *((levels[1:] + levels[:-1]) / 2)])
    values = measured_at(between, predictions, y, target)[metric]
    best = np.flatnonzero(values == values.max())
    chosen = best[np.argmin(np.abs(between[best] - 0.5))]
    return float(between[chosen]), float(values[chosen])
