from pathlib import Path

import numpy as np
import pytest

from runner.figures.weights import draw_weights, evidence
from tests.runner.figures.pixels import center, near, pixels

RNG = np.random.default_rng(0)
MOST, LEAST = (0.404, 0.0, 0.122), (0.020, 0.188, 0.380)  # the ends of "RdBu_r"
NAMES = ["one", "two", "three", "four"]


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_the_evidence_predicts_what_the_weights_predict() -> None:
    X, weight = RNG.normal(size=(20, 4)), RNG.normal(size=(4, 3)) + 5.0
    # Softmax in float64 of logits near 10: a few units in the last place.
    np.testing.assert_allclose(softmax(X @ evidence(weight)), softmax(X @ weight), rtol=1e-12)


def test_what_all_classes_share_is_no_evidence() -> None:
    np.testing.assert_array_equal(
        evidence(np.array([[3.0, 3.0], [1.0, 2.0]])), [[0, 0], [-0.5, 0.5]]
    )


def test_the_deciding_feature_stands_out(tmp_path: Path) -> None:
    weight = np.array([[1.2, 1.25], [-0.4, -0.3], [-2.7, 2.9], [0.8, 0.7]])
    places = {}
    for row in (0, 2):
        moved = np.roll(weight, row - 2, axis=0)
        draw_weights(moved, NAMES, ["0", "1"], tmp_path / "weights.png")
        picture = pixels(tmp_path / "weights.png")
        places[row] = (center(near(picture, MOST)), center(near(picture, LEAST)))
    (high, right), (same, left) = places[2]
    assert same == pytest.approx(high, abs=2)  # pixels: both in one row
    assert right - left == pytest.approx(0.9 * 150, abs=2)  # class 1 lies right of class 0
    assert high - places[0][0][0] == pytest.approx(2 * 0.34 * 150, abs=2)  # two rows lower


def test_of_many_features_those_that_weigh_most_are_drawn(tmp_path: Path) -> None:
    weight = RNG.normal(size=(500, 2)) * 1e-3
    weight[[7, 300, 499]] = [[9.0, 0.0], [0.0, 9.0], [9.0, 0.0]]
    draw_weights(weight, [f"column {i}" for i in range(500)], ["a", "b"], tmp_path / "w.png")
    picture = pixels(tmp_path / "w.png")
    assert picture.shape[0] < 2_000
    cell = 0.9 * 150 * 9.0 / 40 * 150
    assert near(picture, MOST).sum() / cell == pytest.approx(3, rel=0.4)  # less the numbers


@pytest.mark.parametrize(
    "weight",
    [
        np.zeros((1, 1)),
        np.zeros((3, 2)),
        np.full((2, 2), np.nan),
        np.array([[np.inf, 1.0], [-np.inf, 2.0]]),
        np.array([[1e300, -1e300]]),
        np.array([[1e-300, -1e-300]]),
        RNG.normal(size=(64, 10)).astype(np.float32),
        RNG.normal(size=(3, 40)),
    ],
    ids=["one", "zeros", "nan", "inf", "huge", "tiny", "float32", "wide"],
)
def test_any_weights_are_drawn(weight: np.ndarray, tmp_path: Path) -> None:
    n_features, n_classes = weight.shape
    features = [f"$feature$ \x1b[1m {i}" for i in range(n_features)]
    draw_weights(weight, features, [f"class {i}" for i in range(n_classes)], tmp_path / "w.png")
    assert len(np.unique(pixels(tmp_path / "w.png"))) > 5
