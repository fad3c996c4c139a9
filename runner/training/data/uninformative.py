"""Columns of a person's table that tell nothing of a new row: counters, identifiers, constants."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from runner.training.cells import CLOCKS
from runner.training.preprocessing import date_columns

if TYPE_CHECKING:
    from runner.training.data.dataset import Dataset, FloatArray, IntArray

# What pandas, R and Parquet call the numbers or the names of rows when they write them as a column.
_INDEX = re.compile(r"Unnamed: \d+|rownames|X|\.\.\.1|index|__index_level_\d+__")
_IDENTIFIER = re.compile(r"id|ID|Id|.*(_id|_ID|[a-z0-9]Id|[a-z0-9]ID)")
# Words that differ from row to row teach nothing; a few rows are too few to tell.
_MOSTLY_DIFFERENT, _ENOUGH_ROWS = 0.9, 50


def uninformative(dataset: Dataset, rows: IntArray, chosen: Collection[str] = ()) -> dict[str, str]:
    """Return the columns that are to be left out, each with the reason, by the training rows alone.

    Of the raw columns that somebody has `chosen` only parts of dates are left out, such as the hour
    of days.
    """
    reasons: dict[str, str] = {}
    parts = {part for date in dataset.dates for part in date_columns(date)}
    of_no_day = {
        part
        for name, form in dataset.dates.items()
        if form in CLOCKS
        for part in date_columns(name)[:-1]
    }
    for column, name in enumerate(dataset.feature_names):
        if name in chosen and name not in parts:
            continue
        train, words = dataset.X[rows, column], dataset.categories.get(name)
        is_empty = np.isnan(train) if words is None else (train == 0) & (words[:1] == ("",))
        reason = "empty" if is_empty.all() else _reason(name, train, is_words=words is not None)
        if name in of_no_day:  # of a time the hour alone says anything, on whatever day
            reason = "constant"
        if reason:
            reasons[name] = reason
    for name in dataset.dates:
        if reasons.keys() >= set(date_columns(name)):  # the same date in all rows
            reasons[name] = reasons[date_columns(name)[0]]
    return reasons


def _reason(name: str, train: FloatArray, *, is_words: bool) -> str:
    if (train == train[0]).all():
        return "constant"
    is_index, is_id = _INDEX.fullmatch(name), _IDENTIFIER.fullmatch(name)
    if not (is_words or is_index or is_id):
        return ""
    n_distinct = len(np.unique(train))
    # A counter whose rows somebody has shuffled or chosen from is one still.
    all_differ = n_distinct == len(train) and bool((is_words | (np.floor(train) == train)).all())
    if all_differ and is_index and is_words:
        return "row names"
    if all_differ and is_index and train.min() >= 0:
        # X is a name of features too, which do not rise from row to row.
        return "row numbers" if name != "X" or (np.diff(train) > 0).all() else ""
    if is_words:
        differ = n_distinct > _MOSTLY_DIFFERENT * len(train) and len(train) >= _ENOUGH_ROWS
        return "words that differ from row to row" if differ else ""
    return "identifier" if all_differ and is_id else ""
