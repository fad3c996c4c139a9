"""The one form that all data takes, and the digest by which its content is identified.

A CSV and a Parquet file of equal values are equal.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of features with a class for each row.

    Parameters
    ----------
    name : str
        A short name: ``iris``, or a file's name without its ending.
    feature_names : tuple of str
        The columns, before text is encoded.
    X : ndarray of shape (n_samples, n_columns)
        float64. A text column holds the index of its category.
    categories : mapping of str to tuple of str
        The sorted values of each text column; a column of numbers is absent.
    y : ndarray of shape (n_samples,)
        The index of each row's class, 0 to n_classes - 1.
    class_names : tuple of str
        The label of each class as text; sorted, numbers by their value.
    source : str
        What a person recognises: an absolute path, ``scikit-learn iris``.
    digest : str
        SHA-256 over the names, the categories, X and y: the content, never the path.

    Examples
    --------
    >>> from runner.training.data.builtin import tutorial_table
    >>> table = tutorial_table()
    >>> table.X.shape, table.class_names
    ((16, 4), ('0', '1'))
    """

    name: str
    feature_names: tuple[str, ...]
    X: FloatArray
    categories: Mapping[str, tuple[str, ...]]
    y: IntArray
    class_names: tuple[str, ...]
    source: str
    digest: str


def make_dataset(
    *,
    name: str,
    feature_names: Sequence[str],
    X: FloatArray,
    y: IntArray,
    class_names: Sequence[str],
    source: str,
    categories: Mapping[str, tuple[str, ...]] | None = None,
) -> Dataset:
    """Freeze the arrays and take their digest."""
    X = np.ascontiguousarray(X, dtype=np.float64)
    y = np.ascontiguousarray(y, dtype=np.intp)
    # Every run of a sweep sees the same arrays: one that writes into them is a defect.
    X.flags.writeable = False
    y.flags.writeable = False
    categories = dict(categories or {})
    names = {
        "feature_names": list(feature_names),
        "categories": categories,
        "class_names": list(class_names),
        "shape": X.shape,
    }
    digest = hashlib.sha256(json.dumps(names, sort_keys=True).encode())
    digest.update(X.astype("<f8", copy=False).data)
    digest.update(y.astype("<i8", copy=False).data)
    return Dataset(
        name, tuple(feature_names), X, categories, y, tuple(class_names), source, digest.hexdigest()
    )


def memory_bytes() -> int:
    """Return the size of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_room(where: str, what: str, n_bytes: int) -> None:
    """Refuse what this machine cannot hold, before any of it is allocated.

    A header of a few bytes can claim terabytes, and asking for them may succeed until the first
    write, when the system kills the process.
    """
    if n_bytes > memory_bytes():
        raise DataError(
            f"{where}: must fit into this machine's {memory_bytes() / 2**30:,.1f} GiB of memory, "
            f"got {what} ({n_bytes / 2**30:,.1f} GiB)."
        )
