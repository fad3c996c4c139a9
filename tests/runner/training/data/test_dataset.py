"""The digest follows the content and nothing else; the arrays cannot be written to."""

import numpy as np
import pytest

from runner.system.errors import DataError
from runner.training.data.dataset import Dataset, check_room

X = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
PARTS = {
    "name": "t",
    "feature_names": ("a", "colour"),
    "X": X,
    "y": np.array([0, 1, 0]),
    "class_names": ("x", "y"),
    "source": "here",
    "categories": {"colour": ("blue", "red")},
}
ONE_BIT = X.copy()
ONE_BIT[1, 0] = np.nextafter(2.0, 3.0)


@pytest.mark.parametrize(
    "part",
    [
        {"X": ONE_BIT},
        {"X": X[::-1]},
        {"y": np.array([0, 1, 1])},
        {"feature_names": ("b", "colour")},
        {"feature_names": ("a,colour", "")},
        {"class_names": ("x", "z")},
        {"categories": {"colour": ("blue", "green")}},
        {"categories": {}},
    ],
)
def test_any_change_of_content_changes_the_digest(part: dict[str, object]) -> None:
    assert Dataset(**(PARTS | part)).digest != Dataset(**PARTS).digest


@pytest.mark.parametrize("same", [np.asfortranarray(X), X.astype(">f8"), X.astype(np.float32)])
def test_neither_layout_nor_name_nor_source_are_content(same: np.ndarray) -> None:
    dataset = Dataset(**(PARTS | {"X": same, "name": "u", "source": "there"}))
    assert dataset.digest == Dataset(**PARTS).digest
    assert dataset.X.flags.c_contiguous


def test_rows_and_labels_cannot_be_written_to() -> None:
    dataset = Dataset(**(PARTS | {"X": X.copy()}))
    with pytest.raises(ValueError, match="read-only"):
        dataset.X[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        dataset.y[0] = 1


def test_what_does_not_fit_into_memory_is_named() -> None:
    with pytest.raises(DataError, match=r"^here: must fit into .*, got a lot \(8,192.0 GiB\)"):
        check_room("here", "a lot", 2**43)
