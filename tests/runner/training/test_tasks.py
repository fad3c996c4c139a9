"""Labels become targets; their texts are kept, sorted, and gaps are closed."""

import numpy as np
import pyarrow as pa
import pytest

from runner.training.data.columns import Origin, Rules, numeric_column, text_column
from runner.training.data.dataset import FloatArray
from runner.training.tasks import TASKS
from softnet import SoftmaxCrossEntropy
from tests.runner.jobs.planned import experiment

ORIGIN = Origin("t.csv", "column 'label'", lambda row: f"line {row + 2}")


@pytest.mark.parametrize(
    ("values", "y", "class_names"),
    [
        (["y", "x", "y"], [1, 0, 1], ("x", "y")),
        (["True", "False"], [1, 0], ("False", "True")),
        (["true", "true", "FALSE"], [1, 1, 0], ("FALSE", "true")),
        (np.array([0.0, 2.0, 0.0]), [0, 1, 0], ("0", "2")),
        (np.array([10.0, 9.0, -1.0]), [2, 1, 0], ("-1", "9", "10")),
        (np.array([-0.0, 0.0, 1.0]), [0, 0, 1], ("0", "1")),
        (np.array([2.0**53 - 1, 0.0]), [1, 0], ("0", "9007199254740991")),
    ],
)
def test_labels_are_numbered_in_order(
    values: FloatArray | list[str], y: list[int], class_names: tuple[str, ...]
) -> None:
    if isinstance(values, list):
        column = text_column("label", pa.array(values), ORIGIN, Rules())
    else:
        column = numeric_column("label", values, ORIGIN)
    codes, names = TASKS["classification"].encode(column)
    assert codes.tolist() == y
    assert names == class_names


def test_a_classifier_has_an_output_for_each_class() -> None:
    network = TASKS["classification"].network(experiment(), 2, 3)
    assert network.weight_shapes["layers.2.weight"] == (5, 3)
    assert isinstance(network.loss, SoftmaxCrossEntropy.Settings)
