"""A table's columns to a Dataset: which column is the label, which are features.

The same for every kind of file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.training.data.columns import Column
from runner.training.data.dataset import Dataset, FloatArray, make_dataset
from runner.training.tasks import TASKS

if TYPE_CHECKING:
    from runner.config import FileData

# One-hot columns are dense. A column of names or keys would give each row a feature of its own.
_LARGEST_CATEGORY_COUNT = 1_000
_LISTED = 12


@dataclass(frozen=True)
class RowsWanted:
    """The raw columns that are read without any labels: rows that are to be predicted."""

    features: tuple[str, ...]
    delimiter: str = ","
    target: None = None


def listed(names: Sequence[str]) -> str:
    """Write names in one line, the first dozen of many."""
    shown = ", ".join(shorten(name, 30) for name in names[:_LISTED])
    return shown + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")


def choose_columns(
    file: str,
    names: Sequence[str],
    config: FileData | RowsWanted,
    *,
    header: str = "",
    hint: str = "",
) -> list[int]:
    """Return the positions of the features and, last, of the label, where one is wanted.

    Parameters
    ----------
    file : str
        The file, as it was given.
    names : sequence of str
        All its columns.
    config : FileData or RowsWanted
        Its `target` and `features`; without `features`, all columns but the label are features.
    header : str
        Where the names stand in the file, such as ``, line 1``.
    hint : str
        A last line for the message, if the label is not among them.
    """
    if isinstance(config, RowsWanted):
        return [_named(f"{file}{header}", names, name, hint) for name in config.features]
    of_file = f"a column of {shorten(file)}"
    known = f"Its columns are {listed(names)}.{hint}"
    if config.target is None:
        raise ConfigError("data.target", f"{of_file}, the one with the labels", None, known)
    target = config.target
    if target not in names:
        raise ConfigError(
            "data.target", of_file, target, f"{nearest(target, names)} {known}".lstrip()
        )
    features = choose_features(file, names, target, config.features, header)
    return [*features, _only(f"{file}{header}", names, target)]


def choose_features(
    file: str, names: Sequence[str], target: str, wanted: Sequence[str] | None, header: str = ""
) -> list[int]:
    """Find the feature columns: those that are named, or all but the label."""
    if wanted is None:
        wanted = [name for name in names if name != target]
        if not wanted:
            raise DataError(
                f"{file}: must have at least one feature column beside the label, "
                f"got only {shorten(target)}."
            )
    rule = f"a list of columns of {shorten(file)} without the label"
    if not wanted:
        raise ConfigError("data.features", rule, list(wanted))
    for name in wanted:
        if name == target:
            raise ConfigError("data.features", rule, name, "It is the label (data.target).")
        if name not in names:
            known = f"{nearest(name, names)} Its columns are {listed(names)}."
            raise ConfigError("data.features", rule, name, known.lstrip())
        if wanted.count(name) > 1 and names.count(name) == 1:
            raise ConfigError("data.features", rule, name, "It is there twice.")
    return [_only(f"{file}{header}", names, name) for name in wanted]


def _named(where: str, names: Sequence[str], name: str, hint: str) -> int:
    if name not in names:
        raise DataError(
            f"{where}: must have the column {shorten(name, 60)}, which the network was trained on."
            f"{f' {near}' if (near := nearest(name, names)) else ''} Its columns are "
            f"{listed(names)}.{hint}"
        )
    return _only(where, names, name)


def _only(where: str, names: Sequence[str], name: str) -> int:
    """Find a column that must be there once, and must have a name to be found by."""
    first = names.index(name)
    if names.count(name) > 1:
        second = names.index(name, first + 1)
        raise DataError(
            f"{where}, columns {first + 1} and {second + 1}: must have names of their own, "
            f"got {shorten(name, 60)} for both."
        )
    if not name:
        raise DataError(
            f"{where}, column {first + 1}: must have a name in the header, got none.\n"
            "Such a column often holds row numbers; data.features can name the columns to use."
        )
    return first


def dataset_from_columns(
    name: str, source: str, features: Iterable[Column], labels: Column
) -> Dataset:
    """Join feature columns and labels into a Dataset.

    The words true and false, however they are capitalised, become 1 and 0.
    """
    file = labels.origin.file
    if len(labels.values) < 2:
        raise DataError(f"{file}: must have at least 2 rows of data, got {len(labels.values)}.")
    y, class_names = TASKS["classification"].encode(labels)
    names: list[str] = []
    arrays: list[FloatArray] = []
    categories: dict[str, tuple[str, ...]] = {}
    for column in features:
        names.append(column.name)
        if not isinstance(column.values, list):
            arrays.append(column.values)
            continue
        codes, words = column.indexed_words()
        lower = [word.lower() for word in words]
        if set(lower) <= {"true", "false"}:
            arrays.append(np.array([word == "true" for word in lower], np.float64)[codes])
            continue
        if len(words) > _LARGEST_CATEGORY_COUNT:
            raise DataError(
                f"{file}, {column.origin.column}: must have at most {_LARGEST_CATEGORY_COUNT:,} "
                f"different words to be one-hot encoded, got {len(words):,}.\n"
                "To leave it out, name the other columns in data.features."
            )
        arrays.append(codes.astype(np.float64))
        categories[column.name] = words
    return make_dataset(
        name=name,
        feature_names=names,
        X=np.column_stack(arrays),
        y=y,
        class_names=class_names,
        source=source,
        categories=categories,
    )
