"""What depends on the kind of task: how labels become targets, and which network learns them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from runner.system.errors import DataError, shorten
from softnet import NetworkSettings, mlp

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.training.data.columns import Column
    from runner.training.data.dataset import IntArray

# From here on neighbouring whole numbers are one and the same float64.
_LARGEST_WHOLE = 2**53


class Task(ABC):
    """A kind of task; a new one is a class and a line in `TASKS`."""

    @abstractmethod
    def encode(self, labels: Column) -> tuple[IntArray, tuple[str, ...]]:
        """Turn a label column into targets.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The target of each row.
        class_names : tuple of str
            What the outputs of the network stand for.

        Raises
        ------
        DataError
            If the labels are not of this kind.
        """

    @abstractmethod
    def network(self, experiment: Experiment, n_features: int, n_outputs: int) -> NetworkSettings:
        """Return what the network of an experiment is made from, its loss included."""


class Classification(Task):
    """One of several classes for each row, by the cross-entropy of the softmax.

    Classes are numbered from 0: words sorted, whole numbers by their value. Gaps are closed:
    {0, 2} becomes {0, 1}.
    """

    def encode(self, labels: Column) -> tuple[IntArray, tuple[str, ...]]:
        """Return the index of each row's class, and the label of each class."""
        origin, numbers = labels.origin, labels.values
        unique, y = np.unique(numbers, return_inverse=True)
        if labels.kind == "date":
            raise origin.error(0, "a class", "a date", "\ndata.target names another column.")
        if labels.kind == "words" or labels.words:
            class_names = tuple(labels.words[int(code)] for code in unique)
        else:
            whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < _LARGEST_WHOLE)
            if not whole.all():
                row = int(np.argmin(whole))
                number = float(numbers[row])
                got = int(number) if number.is_integer() else number  # without its ".0"
                rule = "a class, which is a word or a whole number below 2**53 in size"
                hint = "\nQuantities cannot be learned here, only classes."
                raise origin.error(row, rule, got, hint)
            class_names = tuple(str(int(number)) for number in unique)
        if len(class_names) < 2:
            raise DataError(
                f"{origin.file}, {origin.column}: must hold at least 2 classes, "
                f"got only {shorten(class_names[0], 60)} in all {len(y):,} rows."
            )
        return y, class_names

    def network(self, experiment: Experiment, n_features: int, n_outputs: int) -> NetworkSettings:
        """Return a multilayer perceptron with an output for each class."""
        model = experiment.model
        return mlp(
            (n_features, *model.hidden_layer_sizes, n_outputs),
            model.activation,
            dropout=model.dropout,
            normalization=model.normalization,
            residual=model.residual,
        )


TASKS: dict[str, Task] = {"classification": Classification()}
