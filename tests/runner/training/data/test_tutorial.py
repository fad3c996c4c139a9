"""The tutorial's table is the one it prints."""

import numpy as np

from runner.training.data.builtin import tutorial_table

# As the tutorial prints them, row by row.
X = [
    *("1101", "0101", "0101", "1010", "0110", "1011", "0000", "1110"),
    *("0011", "1101", "0010", "1000", "1111", "0111", "1001", "1001"),
]
Y = [0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0]


def test_the_rows_are_the_printed_ones() -> None:
    dataset = tutorial_table()
    assert dataset.X.tolist() == [[float(cell) for cell in row] for row in X]
    assert dataset.y.tolist() == Y
    assert dataset.feature_names == ("feature_1", "feature_2", "feature_3", "feature_4")
    assert dataset.class_names == ("0", "1")


def test_the_label_is_the_third_feature() -> None:
    dataset = tutorial_table()
    assert np.array_equal(dataset.X[:, 2], dataset.y)


def test_the_digest_is_known() -> None:
    # Keys of recorded runs rest on it: a change here makes every recorded run another one.
    assert (
        tutorial_table().digest
        == "6ce45b5a473cbecb3815ae29d45c66b5686e4b143eebb050feae3765de5ec0a0"
    )
