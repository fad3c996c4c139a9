from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from sklearn.metrics import confusion_matrix

from runner.figures.matrices import (
    centered_weights,
    confusion_counts,
    draw_confusion_matrix,
    draw_heat_map,
    draw_weights,
)
from runner.figures.scales import Measure
from tests.runner.figures.pictures import assert_whole, overlap, texts

RNG = np.random.default_rng(0)
NAN = float("nan")
MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize("n_classes", [2, 10, 30])
def test_counts_equal_those_of_scikit_learn(n_classes: int) -> None:
    y_true, y_pred = RNG.integers(0, n_classes, (2, 500))
    expected = confusion_matrix(y_true, y_pred, labels=range(n_classes))
    np.testing.assert_array_equal(confusion_counts(y_true, y_pred, n_classes), expected)


def test_rows_are_true_classes_with_counts_and_shares(tmp_path: Path) -> None:
    counts = np.array([[2, 1, 0], [0, 1, 0], [0, 0, 0]])
    names = ["no", "yes", "never"]
    figure = draw_confusion_matrix(counts, names, tmp_path / "m.png", split="test")
    axes = figure.axes[0]
    cells = {t.get_position(): t.get_text() for t in axes.texts if "\n" in t.get_text()}
    assert cells == {(0.5, 0.5): "2\n66.7 %", (1.5, 0.5): "1\n33.3 %", (1.5, 1.5): "1\n100 %"}
    assert [t.get_text() for t in axes.get_yticklabels()] == ["no (3)", "yes (1)", "never (0)"]
    assert axes.get_ylim() == (3, 0)
    assert any("75.0 % of 4 test rows right" in text for text in texts(figure))


@pytest.mark.parametrize("n_classes", [1, 30])
def test_any_number_of_classes_is_drawn(n_classes: int, tmp_path: Path) -> None:
    names = [f"a species with a very long $name$, number {n}" for n in range(n_classes)]
    counts = np.eye(n_classes, dtype=np.intp)
    figure = draw_confusion_matrix(counts, names, tmp_path / "matrix.png", "a run", "test")
    assert_whole(tmp_path / "matrix.png")
    rows = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert not overlap(figure, rows)
    assert ("100 %" in " ".join(rows)) is (n_classes == 30)  # no room in the cells


def test_centered_weights_predict_what_the_weights_predict() -> None:
    X, weight = RNG.normal(size=(20, 4)), RNG.normal(size=(4, 3)) + 5.0
    odds = [
        np.exp(X @ w - (X @ w).max(1, keepdims=True)) for w in (weight, centered_weights(weight))
    ]
    # Softmax in float64 of logits near 10: a few units in the last place.
    np.testing.assert_allclose(odds[0], odds[1], rtol=1e-11)
    same = np.array([[3.0, 3.0], [1.0, 2.0]])
    np.testing.assert_array_equal(centered_weights(same), [[0, 0], [-0.5, 0.5]])


def test_of_many_features_those_that_weigh_most_are_drawn(tmp_path: Path) -> None:
    weight = RNG.normal(size=(500, 2)) * 1e-3
    weight[[7, 300, 499]] = [[9.0, 0.0], [0.0, 9.0], [9.0, 0.0]]
    names = [f"column {i}" for i in range(500)]
    figure = draw_weights(weight, names, ["a", "b"], tmp_path / "w.png")
    assert {"column 7", "column 300", "column 499", "+4.50", f"{MINUS}4.50"} <= {*texts(figure)}
    assert len(figure.axes[0].get_yticklabels()) == 40
    assert_whole(tmp_path / "w.png")


@pytest.mark.parametrize(
    "weight",
    [
        np.zeros((1, 1)),
        np.full((2, 2), np.nan),
        np.array([[np.inf, 1.0], [-np.inf, 2.0]]),
        np.array([[1e300, -1e300]]),
        np.array([[1e-300, -1e-300]]),
        RNG.normal(size=(5, 30)).astype(np.float32),
    ],
    ids=["zero", "nan", "inf", "huge", "tiny", "float32"],
)
def test_any_weights_are_drawn(weight: np.ndarray, tmp_path: Path) -> None:
    features, classes = ([f"${i}$ \x1b[1m of many" for i in range(n)] for n in weight.shape)
    draw_weights(weight, features, classes, tmp_path / "w.png")
    assert_whole(tmp_path / "w.png")


@pytest.mark.parametrize(("metric", "best"), [("val/loss", (0, 1)), ("val/accuracy", (1, 0))])
def test_the_best_pair_is_framed_and_rows_are_numbered_upwards(
    metric: str, best: tuple[int, int], tmp_path: Path
) -> None:
    values = np.array([[0.1, 0.2], [0.3, 0.4]])
    ran, sides = np.full((2, 2), True), (("b", ["1", "2"]), ("a", ["3", "4"]))
    figure = draw_heat_map(values, ran, sides, Measure(metric), tmp_path / "map.png", "a sweep")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["2", "1"]
    assert [p.get_xy() for p in axes.patches if isinstance(p, Rectangle)] == [best] * 2
    assert {"0.100", "0.200", "0.300", "0.400"} <= {*texts(figure)}


def test_pairs_that_failed_and_pairs_that_were_not_run_are_told_apart(tmp_path: Path) -> None:
    values, ran = np.array([[0.1, NAN], [NAN, 0.4]]), np.array([[True, True], [False, True]])
    sides = ("b", ["1", "2"]), ("a", ["1", "2"])
    figure = draw_heat_map(values, ran, sides, Measure("val/loss"), tmp_path / "map.png", "")
    assert texts(figure).count("\N{MULTIPLICATION SIGN}") == 1
    assert any("grey: not run" in text for text in texts(figure))


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 2), 0.5),
        np.array([[NAN, NAN], [NAN, 0.0]]),
        np.array([[1e-300, 1e149], [1.0, -1.0]]),
        np.geomspace(1e-5, 1e9, 9).reshape(3, 3),
        np.arange(200.0).reshape(100, 2),
    ],
)
def test_any_values_are_drawn(values: np.ndarray, tmp_path: Path) -> None:
    n_rows, n_columns = values.shape
    sides = ("b", [*map(str, range(n_rows))]), ("a", [*map(str, range(n_columns))])
    draw_heat_map(values, ~np.isnan(values), sides, Measure("val/loss"), tmp_path / "map.png", "")
    assert_whole(tmp_path / "map.png")
