"""Labels to class indices 0 to n_classes - 1, with the label of each kept as text.

Only classes can be learned: a label that is a quantity, such as 0.5, is refused.
"""

from __future__ import annotations

import numpy as np

from runner.system.errors import DataError, shorten
from runner.training.data.columns import Column, index_words
from runner.training.data.dataset import IntArray

# From here on neighbouring whole numbers are one and the same float64.
_LARGEST_WHOLE = 2**53


def encode_labels(labels: Column) -> tuple[IntArray, tuple[str, ...]]:
    """Give each class of a label column its index.

    Parameters
    ----------
    labels : Column
        Words, or whole numbers. Gaps are closed: {0, 2} becomes {0, 1}.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The index of each row's class.
    class_names : tuple of str
        The label of each class: words sorted, numbers sorted by value.

    Raises
    ------
    DataError
        If a label is no class, or all rows have the same one.
    """
    origin = labels.origin
    if isinstance(labels.values, list):
        y, class_names = index_words(labels.values)
    else:
        numbers = labels.values
        whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < _LARGEST_WHOLE)
        if not whole.all():
            row = int(np.argmin(whole))
            rule = "a class, which is a word or a whole number below 2**53 in size"
            hint = "\nQuantities cannot be learned here, only classes."
            raise origin.error(row, rule, _written(numbers[row]), hint)
        unique, codes = np.unique(numbers, return_inverse=True)
        y, class_names = codes, tuple(str(int(number)) for number in unique)
    if len(class_names) < 2:
        raise DataError(
            f"{origin.file}, {origin.column}: must hold at least 2 classes, "
            f"got only {shorten(class_names[0], 60)} in all {len(y):,} rows."
        )
    return y, class_names


def _written(number: np.float64) -> int | float:
    """Show a whole number without its ``.0``."""
    return int(number) if number.is_integer() else float(number)
