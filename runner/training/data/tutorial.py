"""The tutorial's sixteen rows, as it prints them; the label equals the third feature."""

from __future__ import annotations

import numpy as np

from runner.training.data.dataset import Dataset, make_dataset

_ROWS = (
    ((1, 1, 0, 1), 0),
    ((0, 1, 0, 1), 0),
    ((0, 1, 0, 1), 0),
    ((1, 0, 1, 0), 1),
    ((0, 1, 1, 0), 1),
    ((1, 0, 1, 1), 1),
    ((0, 0, 0, 0), 0),
    ((1, 1, 1, 0), 1),
    ((0, 0, 1, 1), 1),
    ((1, 1, 0, 1), 0),
    ((0, 0, 1, 0), 1),
    ((1, 0, 0, 0), 0),
    ((1, 1, 1, 1), 1),
    ((0, 1, 1, 1), 1),
    ((1, 0, 0, 1), 0),
    ((1, 0, 0, 1), 0),
)


def tutorial_table() -> Dataset:
    """Give the tutorial's table: 16 rows, 4 features, 2 classes.

    References
    ----------
    Shubhang Desai, 2017, "A Soft Introduction to Neural Networks".
    """
    return make_dataset(
        name="tutorial",
        feature_names=[f"feature_{column}" for column in (1, 2, 3, 4)],
        X=np.array([features for features, _ in _ROWS], dtype=np.float64),
        y=np.array([label for _, label in _ROWS], dtype=np.intp),
        class_names=("0", "1"),
        source="the tutorial's table",
    )
