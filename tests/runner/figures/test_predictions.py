"""Curves of predictions, and the numbers that they show."""

from pathlib import Path

import numpy as np

from runner.figures.predictions import draw_probabilities, draw_quantities
from runner.figures.style import PALETTE
from tests.runner.figures.pictures import assert_whole, line


def test_the_curves_of_two_classes_are_of_the_last_one(tmp_path: Path) -> None:
    # In falling order of the score of "yes" its labels are 1, 0, 1, 0.
    yes = np.array([0.9, 0.6, 0.4, 0.1])
    predicted, path = np.stack([1 - yes, yes], axis=1), tmp_path / "x.png"
    truth = np.array([[0, 1], [1, 0], [0, 1], [1, 0]]) > 0
    roc, precision, _ = draw_probabilities(truth, predicted, ["no", "yes"], path).axes
    assert line(roc, PALETTE[0]) == [[0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1]]
    assert line(precision, PALETTE[0]) == [[0, 0.5, 0.5, 1, 1], [1, 1, 0.5, 2 / 3, 0.5]]
    assert_whole(path)


def test_calibration_holds_means_of_probabilities_against_shares(tmp_path: Path) -> None:
    truth = np.array([[0, 1], [1, 0], [0, 1]]) > 0
    yes = np.array([0.31, 0.33, 1.0])
    predicted = np.stack([1 - yes, yes], axis=1)
    calibration = draw_probabilities(truth, predicted, ["no", "yes"], tmp_path / "x.png").axes[2]
    assert line(calibration, PALETTE[0]) == [[(0.31 + 0.33) / 2, 1.0], [0.5, 1.0]]


def test_a_label_that_all_rows_have_has_no_curve(tmp_path: Path) -> None:
    everywhere = np.array([[True, True], [True, False]])
    figure = draw_probabilities(everywhere, np.eye(2), ["a", "b"], tmp_path / "x.png", "a run")
    legend = figure.axes[2].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["b"]


def test_quantities_are_drawn_against_predictions(tmp_path: Path) -> None:
    y, predicted = np.array([1.0, 2.0]), np.array([1.5, 1.0])
    points, residuals = (
        axes.collections[0].get_offsets().tolist()
        for axes in draw_quantities(y, predicted, "price", tmp_path / "x.png").axes
    )
    assert points == [[1.0, 1.5], [2.0, 1.0]]
    assert residuals == [[1.5, -0.5], [1.0, 1.0]]
    assert_whole(tmp_path / "x.png")


def test_a_figure_says_which_rows_it_is_of(tmp_path: Path) -> None:
    """After a refit, which leaves no others, they are those that it was trained on."""
    truth = np.array([[True, False], [False, True]])
    figures = (
        draw_probabilities(truth, np.eye(2), ["a", "b"], tmp_path / "x.png", "", "training"),
        draw_quantities(np.ones(2), np.ones(2), "price", tmp_path / "y.png", "", "training"),
    )
    for figure in figures:
        assert any("2 training rows; dotted" in text.get_text() for text in figure.texts)
