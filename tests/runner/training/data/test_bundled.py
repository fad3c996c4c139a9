"""scikit-learn's tables, whole and with classes named as everywhere."""

from typing import Literal

import numpy as np
import pytest
from sklearn import datasets

from runner.training.data.builtin import load_bundled

Name = Literal["iris", "wine", "breast_cancer", "digits"]


@pytest.mark.parametrize(
    ("name", "shape", "n_classes"),
    [
        ("iris", (150, 4), 3),
        ("wine", (178, 13), 3),
        ("breast_cancer", (569, 30), 2),
        ("digits", (1797, 64), 10),
    ],
)
def test_a_table_is_that_of_scikit_learn(
    name: Name, shape: tuple[int, int], n_classes: int
) -> None:
    bunch = getattr(datasets, f"load_{name}")()
    dataset = load_bundled(name)
    assert dataset.X.shape == shape
    assert dataset.X.tobytes() == np.ascontiguousarray(bunch.data, np.float64).tobytes()
    assert [dataset.class_names[label] for label in dataset.y] == [
        str(bunch.target_names[label]) for label in bunch.target
    ]
    assert len(dataset.class_names) == n_classes
    assert dataset.source == f"scikit-learn {name}"
    assert all(type(text) is str for text in dataset.feature_names + dataset.class_names)


def test_classes_are_sorted_by_name() -> None:
    assert load_bundled("breast_cancer").class_names == ("benign", "malignant")
    assert load_bundled("digits").class_names == tuple("0123456789")
