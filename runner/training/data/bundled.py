"""The tables that come with scikit-learn: iris, wine, breast_cancer, digits. No download."""

from __future__ import annotations

from typing import Literal

import numpy as np

from runner.training.data.columns import Column, Origin
from runner.training.data.dataset import Dataset, make_dataset
from runner.training.data.labels import encode_labels


def load_bundled(name: Literal["iris", "wine", "breast_cancer", "digits"]) -> Dataset:
    """Load one of scikit-learn's bundled tables.

    The classes are sorted by name, as those of any other source: in breast_cancer, benign is 0.
    """
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    source = f"scikit-learn {name}"
    labels = [str(bunch.target_names[index]) for index in bunch.target]
    origin = Origin(source, "column 'target'", lambda row: f"row {row}")
    y, class_names = encode_labels(Column("target", labels, origin))
    return make_dataset(
        name=name,
        feature_names=[str(feature) for feature in bunch.feature_names],
        X=np.asarray(bunch.data, dtype=np.float64),
        y=y,
        class_names=class_names,
        source=source,
    )
