"""Labels become indices; their texts are kept, sorted, and gaps are closed."""

import numpy as np
import pytest

from runner.training.data.columns import Column, Origin
from runner.training.data.dataset import FloatArray
from runner.training.data.tables import encode_labels

ORIGIN = Origin("t.csv", "column 'label'", lambda row: f"line {row + 2}")


@pytest.mark.parametrize(
    ("values", "y", "class_names"),
    [
        (["y", "x", "y"], [1, 0, 1], ("x", "y")),
        (["True", "False"], [1, 0], ("False", "True")),
        (np.array([0.0, 2.0, 0.0]), [0, 1, 0], ("0", "2")),
        (np.array([10.0, 9.0, -1.0]), [2, 1, 0], ("-1", "9", "10")),
        (np.array([-0.0, 0.0, 1.0]), [0, 0, 1], ("0", "1")),
        (np.array([2.0**53 - 1, 0.0]), [1, 0], ("0", "9007199254740991")),
    ],
)
def test_labels_are_numbered_in_order(
    values: FloatArray | list[str], y: list[int], class_names: tuple[str, ...]
) -> None:
    codes, names = encode_labels(Column("label", values, ORIGIN))
    assert codes.tolist() == y
    assert names == class_names
