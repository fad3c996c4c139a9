"""The one form that all data takes, and the digest by which its content is identified.

A CSV and a Parquet file of equal values are equal.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import DataError
from runner.training.cells import CellFormat

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Reading:
    """How a file was read, as far as that had to be found out from the file."""

    # The settings of the `data` group that were left open, as they turned out.
    settings: Mapping[str, Any] = field(default_factory=dict)
    # What each raw feature is: ``number``, ``words`` or ``date``.
    kinds: Mapping[str, str] = field(default_factory=dict)
    # What the columns are that are no features: targets, and what says something of rows.
    other_kinds: Mapping[str, str] = field(default_factory=dict)
    # How cells are written that are no plain ones: the form of dates, the sign of numbers.
    formats: Mapping[str, str] = field(default_factory=dict)
    # Rows without a value, by raw feature; those that have all are absent.
    missing: Mapping[str, int] = field(default_factory=dict)
    n_without_target: int = 0  # rows that were left out, because they have no target
    notes: tuple[str, ...] = ()  # sentences about what a person might not expect
    truths: tuple[str, ...] = ()  # the raw features that are true or false
    # Those of which some numbers are written as no plain ones, such as ``1.234,50 €``.
    texts: tuple[str, ...] = ()
    cells: CellFormat = field(default=CellFormat())  # how the cells are written
    # How the 0 and the 1 of each label are written; see `Target.words`.
    label_words: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of features with a target for each row.

    Examples
    --------
    >>> from runner.training.data.builtin import tutorial_table
    >>> table = tutorial_table()
    >>> table.X.shape, table.class_names
    ((16, 4), ('0', '1'))
    """

    name: str  # a short name: ``iris``, or a file's name without its ending
    feature_names: tuple[str, ...]  # the columns, before words are encoded
    # Of shape (n_samples, n_columns). float64. A column of words holds the index of its category;
    # NaN is a missing number.
    X: FloatArray
    # Of shape (n_samples,) or (n_samples, n_labels). The index of each row's class, a quantity in
    # float64, or a 0 or 1 for each label.
    y: NDArray[Any]
    # The label of each class as text; sorted, numbers by their value. Of other tasks what each
    # output stands for.
    class_names: tuple[str, ...]
    source: str  # what a person recognises: an absolute path, ``scikit-learn iris``
    # The sorted values of each column of words; '' stands for a missing word.
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # How the dates of a raw column are written, by its name. In X a date is several columns.
    dates: Mapping[str, str] = field(default_factory=dict)
    reading: Reading | None = None  # how it was read from a person's file
    task: str = "classification"  # a key of `runner.training.tasks.TASKS`
    targets: tuple[str, ...] = ("class",)  # the columns that hold the target
    # Of shape (n_samples,). The number of each row in its file, from 0; None where all of them are
    # here.
    rows: IntArray | None = None
    # Of shape (n_samples,). What a person's columns or files say of each row, as far as they do, in
    # float64: ``part`` (the position in `PARTS`, NaN where the split decides), ``group``, ``time``
    # and ``weight``.
    roles: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        X = np.ascontiguousarray(self.X, dtype=np.float64)
        is_quantity = self.y.dtype.kind == "f"
        y = np.ascontiguousarray(self.y, dtype=np.float64 if is_quantity else np.intp)
        for name, array in (("X", X), ("y", y)):
            # Every run of a sweep sees the same arrays: one that writes into them is a defect.
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names, the categories, X and y: the content, never the path."""
        names: dict[str, Any] = {
            "feature_names": list(self.feature_names),
            "categories": dict(self.categories),
            "class_names": list(self.class_names),
            "shape": self.X.shape,
        }
        if self.roles:
            names["roles"] = sorted(self.roles)
        if self.task != "classification":
            names["task"] = self.task
        digest = hashlib.sha256(json.dumps(names, sort_keys=True).encode())
        for role in sorted(self.roles):
            digest.update(self.roles[role].astype("<f8").data)
        digest.update(self.X.astype("<f8", copy=False).data)
        digest.update(self.y.astype("<f8" if self.y.dtype.kind == "f" else "<i8", copy=False).data)
        return digest.hexdigest()

    def without(self, left_out: Collection[str]) -> Dataset:
        """Return the same rows without some of the columns."""
        if not left_out:
            return self
        kept = [i for i, name in enumerate(self.feature_names) if name not in left_out]
        return replace(
            self,
            feature_names=tuple(self.feature_names[i] for i in kept),
            X=self.X[:, kept],
            categories={n: words for n, words in self.categories.items() if n not in left_out},
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
