from pathlib import Path

import numpy as np
import pytest

from runner.figures.regions import draw_decision_regions
from tests.runner.figures.pictures import assert_whole, texts

RNG = np.random.default_rng(0)
# Raw units, far from scaled ones.
X = RNG.normal(size=(90, 2)) * [30.0, 1e-5] + [1000.0, 0.0]
SPLIT = {"train": np.arange(50), "val": np.arange(50, 70), "test": np.arange(70, 90)}


def test_the_plane_is_asked_for_in_raw_units_and_has_the_colours_of_its_classes(
    tmp_path: Path,
) -> None:
    asked = []

    def predict(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        second = (rows[:, 0] > 1000.0).astype(np.float64)
        return np.column_stack([1.0 - second, second])

    y = (X[:, 0] > 1000.0).astype(np.intp)
    figure = draw_decision_regions(
        predict, X, y, SPLIT, ["a", "b"], ["no", "yes"], tmp_path / "r.png"
    )
    (plane,) = asked
    beyond = np.array([X.min(axis=0) - plane.min(axis=0), plane.max(axis=0) - X.max(axis=0)])
    assert (beyond > 0.05 * np.ptp(X, axis=0)).all()
    mesh, *points = figure.axes[0].collections
    colors = np.asarray(mesh.get_array()).reshape(-1, 3)
    assert (colors[plane[:, 0] < 1000] == colors[0]).all()
    assert not (colors[plane[:, 0] > 1000] == colors[0]).all(axis=1).any()
    assert [len(p.get_offsets()) for p in points] == [50, 20, 20]
    assert {"no", "yes", "training (50)", "test (20)", "a", "b"} <= {*texts(figure)}
    assert_whole(tmp_path / "r.png")


@pytest.mark.parametrize("n_classes", [1, 30])
def test_any_number_of_classes_is_drawn(n_classes: int, tmp_path: Path) -> None:
    draw_decision_regions(
        lambda rows: np.full((len(rows), n_classes), 1 / n_classes), X,
        RNG.integers(0, n_classes, len(X)), SPLIT, ["長さ", "\x1b[1m" * 50],
        [f"a class with a long $name$, number {n}" for n in range(n_classes)], tmp_path / "r.png",
    )  # fmt: skip
    assert_whole(tmp_path / "r.png")


@pytest.mark.parametrize(
    "rows",
    [np.zeros((1, 2)), np.array([[0.0, 1e-300], [1e140, 2e-300]])],
    ids=["one row", "far apart"],
)
def test_any_plane_is_drawn(rows: np.ndarray, tmp_path: Path) -> None:
    split = {"train": np.arange(len(rows)), "val": np.array([], dtype=np.intp)}
    draw_decision_regions(
        lambda plane: np.full((len(plane), 2), np.nan), rows, np.zeros(len(rows), np.intp), split,
        ["a", "b"], ["no", "yes"], tmp_path / "r.png",
    )  # fmt: skip
    assert_whole(tmp_path / "r.png")


def test_a_hundred_thousand_rows_are_thinned(tmp_path: Path) -> None:
    many = RNG.normal(size=(100_000, 2))
    figure = draw_decision_regions(
        lambda rows: np.full((len(rows), 2), 0.5), many, np.zeros(len(many), np.intp),
        {"train": np.arange(len(many))}, ["a", "b"], ["no", "yes"], tmp_path / "r.png",
    )  # fmt: skip
    assert "training (2,000 of 100,000)" in texts(figure)
