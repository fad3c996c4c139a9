"""Curves of predictions, and what they are read from."""

from pathlib import Path

import numpy as np

from runner.figures.predictions import (
    draw_calibration,
    draw_predicted,
    draw_ranking,
    draw_residuals,
)
from runner.figures.style import PALETTE
from tests.runner.figures.pictures import assert_whole, line

# In falling order of the score of "yes" its labels are 1, 0, 1, 0.
YES = np.array([0.9, 0.6, 0.4, 0.1])
PREDICTED = np.stack([1 - YES, YES], axis=1)
TRUTH = np.array([[0, 1], [1, 0], [0, 1], [1, 0]]) > 0


def test_the_curves_of_two_classes_are_of_the_last_one(tmp_path: Path) -> None:
    names, path = ["no", "yes"], tmp_path / "x.png"
    roc = draw_ranking(TRUTH, PREDICTED, names, path, is_roc=True).axes[0]
    assert line(roc, PALETTE[0]) == [[0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1]]
    assert_whole(path)
    steps = draw_ranking(TRUTH, PREDICTED, names, path, is_roc=False).axes[0]
    assert line(steps, PALETTE[0]) == [[0, 0.5, 0.5, 1, 1], [1, 1, 0.5, 2 / 3, 0.5]]
    assert_whole(path)


def test_calibration_holds_means_of_probabilities_against_shares(tmp_path: Path) -> None:
    truth = np.array([[0, 1], [1, 0], [0, 1]]) > 0
    yes = np.array([0.31, 0.33, 1.0])
    predicted = np.stack([1 - yes, yes], axis=1)
    axes = draw_calibration(truth, predicted, ["no", "yes"], tmp_path / "x.png").axes[0]
    assert line(axes, PALETTE[0]) == [[(0.31 + 0.33) / 2, 1.0], [0.5, 1.0]]
    assert_whole(tmp_path / "x.png")


def test_a_label_that_all_rows_have_has_no_curve(tmp_path: Path) -> None:
    everywhere = np.array([[True, True], [True, False]])
    axes = draw_ranking(everywhere, np.eye(2), ["a", "b"], tmp_path / "x.png", is_roc=True).axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["b"]


def test_quantities_stand_against_what_was_predicted(tmp_path: Path) -> None:
    y, predicted = np.array([1.0, 2.0]), np.array([1.5, 1.0])
    points = draw_predicted(y, predicted, "price", tmp_path / "x.png").axes[0].collections[0]
    assert np.asarray(points.get_offsets()).tolist() == [[1.0, 1.5], [2.0, 1.0]]
    left = draw_residuals(y, predicted, "price", tmp_path / "y.png").axes[0].collections[0]
    assert np.asarray(left.get_offsets()).tolist() == [[1.5, -0.5], [1.0, 1.0]]
    assert_whole(tmp_path / "x.png")
    assert_whole(tmp_path / "y.png")
