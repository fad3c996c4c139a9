from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.figures.regions import draw_decision_regions
from runner.training.data.dataset import Dataset
from tests.runner.figures.pictures import assert_whole, texts

RNG = np.random.default_rng(0)
# Raw units, far from scaled ones.
X = RNG.normal(size=(90, 2)) * [30.0, 1e-5] + [1000.0, 0.0]
SPLIT: Mapping[str, NDArray[np.integer]] = {
    "train": np.arange(50),
    "val": np.arange(50, 70),
    "test": np.arange(70, 90),
}


def dataset(X: np.ndarray, names: tuple[str, ...] = ("no", "yes"), **changes: object) -> Dataset:
    facts: dict[str, Any] = {"feature_names": ("a", "b"), "y": np.zeros(len(X), np.intp), **changes}
    return Dataset(name="plane", X=X, categories={}, class_names=names, source="", **facts)


def uniform(n_classes: int, total: float = 1.0) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: np.full((len(rows), n_classes), total / n_classes)


def test_the_plane_is_asked_for_in_raw_units_and_has_the_colours_of_its_classes(
    tmp_path: Path,
) -> None:
    asked = []

    def predict(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        second = (rows[:, 0] > 1000.0).astype(np.float64)
        return np.column_stack([1.0 - second, second])

    y = (X[:, 0] > 1000.0).astype(np.intp)
    figure = draw_decision_regions(predict, dataset(X, y=y), SPLIT, tmp_path / "r.png")
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
    names = tuple(f"a class with a long $name$, number {n}" for n in range(n_classes))
    y, features = RNG.integers(0, n_classes, len(X)), ("\N{GREEK SMALL LETTER PI}", "\x1b[1m" * 50)
    rows = dataset(X, names, y=y, feature_names=features)
    draw_decision_regions(uniform(n_classes), rows, SPLIT, tmp_path / "r.png")
    assert_whole(tmp_path / "r.png")


@pytest.mark.parametrize(
    "rows",
    [np.zeros((1, 2)), np.array([[0.0, 1e-300], [1e140, 2e-300]])],
    ids=["one row", "far apart"],
)
def test_any_plane_is_drawn(rows: np.ndarray, tmp_path: Path) -> None:
    split = {"train": np.arange(len(rows)), "val": np.array([], dtype=np.intp)}
    draw_decision_regions(uniform(2, np.nan), dataset(rows), split, tmp_path / "r.png")
    assert_whole(tmp_path / "r.png")


def test_a_hundred_thousand_rows_are_thinned(tmp_path: Path) -> None:
    many, split = RNG.normal(size=(100_000, 2)), {"train": np.arange(100_000)}
    figure = draw_decision_regions(uniform(2), dataset(many), split, tmp_path / "r.png")
    assert "training (2,000 of 100,000)" in texts(figure)
