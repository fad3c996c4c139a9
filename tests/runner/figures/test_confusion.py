from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from runner.figures.confusion import confusion_counts, draw_confusion_matrix
from tests.runner.figures.pixels import center, near, pixels, text_chunks

RNG = np.random.default_rng(0)
FULL = (0.031, 0.188, 0.420)  # the end of "Blues": all of a class
ODD = [
    "a\x1b[31mred",
    "$x_1$",
    "$",
    "Größe",
    "日本語",
    "",
    "لغة",
    "x" * 300,
    "two\nlines",
    "\ud800",
]


@pytest.mark.parametrize("n_classes", [2, 10, 30])
def test_counts_equal_those_of_scikit_learn(n_classes: int) -> None:
    y_true, y_pred = RNG.integers(0, n_classes, (2, 500))
    expected = confusion_matrix(y_true, y_pred, labels=range(n_classes))
    np.testing.assert_array_equal(confusion_counts(y_true, y_pred, n_classes), expected)


def test_classes_without_rows_keep_their_place() -> None:
    counts = confusion_counts(np.array([2]), np.array([0]), 3)
    assert counts.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def place_of_the_full_cell(true: int, predicted: int, folder: Path) -> tuple[float, float]:
    path = folder / "matrix.png"
    draw_confusion_matrix(np.array([true]), np.array([predicted]), ["no", "yes"], path)
    return center(near(pixels(path), FULL))


def test_rows_are_true_classes_and_columns_predicted_ones(tmp_path: Path) -> None:
    (top, left), (same, right) = (place_of_the_full_cell(0, p, tmp_path) for p in (0, 1))
    bottom, still_left = place_of_the_full_cell(1, 0, tmp_path)
    assert (same, still_left) == pytest.approx((top, left), abs=2)  # pixels
    assert right - left == pytest.approx(165, abs=2)  # a cell is 1.1 inches of 150 pixels
    assert bottom - top == pytest.approx(165, abs=2)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 30, 120])
def test_any_number_of_classes_is_drawn(n_classes: int, tmp_path: Path) -> None:
    path = tmp_path / "matrix.png"
    y = np.arange(n_classes)
    names = [f"a species with a very long name, number {label}" for label in y]
    draw_confusion_matrix(y, y, names, path, "a run", "test")
    picture = pixels(path)
    assert max(picture.shape) < 2_000
    cell = min(1.1, max(0.62, 3 / n_classes), 9 / n_classes) * 150
    full = near(picture, FULL).sum()
    # The numbers in the cells and the lines between them take a part.
    assert 0.5 < full / (n_classes * cell**2) <= 1.1


def test_names_are_drawn_as_they_are_written(tmp_path: Path) -> None:
    y = np.arange(len(ODD))
    draw_confusion_matrix(y, y, ODD, tmp_path / "odd.png", "a $run$ \x1b[31m", "test")
    assert pixels(tmp_path / "odd.png").shape[1] < 2_000
    draw_confusion_matrix(y[:2], y[:2], [f"${'x' * 20}$", "a"], tmp_path / "dollars.png")
    draw_confusion_matrix(y[:2], y[:2], ["x" * 20, "a"], tmp_path / "formula.png")
    # Were it a formula, its dollars would take no room.
    wide, narrow = (pixels(tmp_path / f"{name}.png").shape for name in ("dollars", "formula"))
    assert wide[1] > narrow[1]


def test_a_split_of_one_row_or_of_none_is_drawn(tmp_path: Path) -> None:
    for rows in (np.array([1]), np.array([], dtype=np.intp)):
        draw_confusion_matrix(rows, rows, ["a", "b", "c"], tmp_path / "small.png")
        assert near(pixels(tmp_path / "small.png"), (0.88, 0.88, 0.88)).sum() > 1_000


def test_equal_results_give_equal_files_without_a_date(tmp_path: Path) -> None:
    y = RNG.integers(0, 3, 50)
    for name in ("one.png", "two.png"):
        draw_confusion_matrix(y, y, ["a", "b", "c"], tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert text_chunks(tmp_path / "one.png") == set()
