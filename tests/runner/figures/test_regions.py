from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from runner.figures.regions import draw_decision_regions
from runner.figures.style import PALETTE
from tests.runner.figures.pixels import center, near, pixels

RNG = np.random.default_rng(0)
# Raw units, far from scaled ones.
X = RNG.normal(size=(90, 2)) * [30.0, 1e-5] + [1000.0, 0.0]
Y = (X[:, 0] > 1000.0).astype(np.intp)
SPLIT = {"train": np.arange(50), "val": np.arange(50, 70), "test": np.arange(70, 90)}
FIRST, SECOND = (tuple(0.5 + 0.5 * part for part in to_rgb(color)) for color in PALETTE[:2])


def right_is_second(rows: np.ndarray) -> np.ndarray:
    second = (rows[:, 0] > 1000.0).astype(np.float64)
    return np.column_stack([1.0 - second, second])


def test_the_plane_is_asked_for_in_raw_units_beyond_all_rows(tmp_path: Path) -> None:
    asked = []

    def predict(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return right_is_second(rows)

    draw_decision_regions(predict, X, Y, SPLIT, ["a", "b"], ["no", "yes"], tmp_path / "r.png")
    (plane,) = asked
    assert plane.shape[1] == 2
    span = np.ptp(X, axis=0)
    for beyond in (X.min(axis=0) - plane.min(axis=0), plane.max(axis=0) - X.max(axis=0)):
        assert (0.05 * span < beyond).all()
        assert (beyond < 0.1 * span).all()


def test_each_side_has_the_colour_of_its_class(tmp_path: Path) -> None:
    draw_decision_regions(
        right_is_second, X, Y, SPLIT, ["a", "b"], ["no", "yes"], tmp_path / "r.png"
    )
    picture = pixels(tmp_path / "r.png")
    (_, first), (_, second) = (center(near(picture, color)) for color in (FIRST, SECOND))
    share = (1000.0 - X[:, 0].min()) / np.ptp(X[:, 0])
    assert second - first == pytest.approx(4.5 * 150 / 2, rel=0.05)  # half of the axes apart
    counts = [near(picture, color).sum() for color in (FIRST, SECOND)]
    assert counts[0] / sum(counts) == pytest.approx(share, abs=0.05)


def test_an_unsure_plane_is_white(tmp_path: Path) -> None:
    draw_decision_regions(
        lambda rows: np.full((len(rows), 2), 0.5), X, Y, SPLIT, ["a", "b"], ["no", "yes"],
        tmp_path / "r.png",
    )  # fmt: skip
    assert near(pixels(tmp_path / "r.png"), (1.0, 1.0, 1.0)).mean() > 0.9


def test_a_split_adds_its_rows(tmp_path: Path) -> None:
    drawn = []
    for parts in (["train"], ["train", "val"], ["train", "val", "test"]):
        split = {part: SPLIT[part] for part in parts}
        path = tmp_path / "r.png"
        draw_decision_regions(right_is_second, X, Y, split, ["a", "b"], ["no", "yes"], path)
        drawn.append(near(pixels(path), to_rgb(PALETTE[1])).sum())
    assert drawn[0] < drawn[1] < drawn[2]


@pytest.mark.parametrize("n_classes", [1, 2, 8, 9, 40])
def test_any_number_of_classes_is_drawn(n_classes: int, tmp_path: Path) -> None:
    y = RNG.integers(0, n_classes, len(X))
    names = [f"a class with a long $name$, number {label}" for label in range(n_classes)]
    draw_decision_regions(
        lambda rows: RNG.dirichlet(np.ones(n_classes), len(rows)), X, y, SPLIT, ["長さ", "\x1b[1m"],
        names, tmp_path / "r.png",
    )  # fmt: skip
    assert pixels(tmp_path / "r.png").shape[1] < 1_600


@pytest.mark.parametrize(
    "rows",
    [np.zeros((1, 2)), np.full((3, 2), 7.0), np.array([[0.0, 1e-300], [1e140, 2e-300]])],
    ids=["one row", "no spread", "far apart"],
)
def test_any_plane_is_drawn(rows: np.ndarray, tmp_path: Path) -> None:
    split = {"train": np.arange(len(rows)), "val": np.array([], dtype=np.intp)}
    draw_decision_regions(
        lambda plane: np.full((len(plane), 2), np.nan), rows, np.zeros(len(rows), np.intp), split,
        ["a", "b"], ["no", "yes"], tmp_path / "r.png",
    )  # fmt: skip
    assert near(pixels(tmp_path / "r.png"), to_rgb(PALETTE[0])).sum() > 20


def test_a_hundred_thousand_rows_are_thinned(tmp_path: Path) -> None:
    many = RNG.normal(size=(100_000, 2))
    draw_decision_regions(
        lambda rows: np.full((len(rows), 2), 0.5), many, np.zeros(len(many), np.intp),
        {"train": np.arange(len(many))}, ["a", "b"], ["no", "yes"], tmp_path / "r.png",
    )  # fmt: skip
    # A cloud that hides nothing: points of nine square points each, at most.
    assert near(pixels(tmp_path / "r.png"), to_rgb(PALETTE[0])).sum() < 2_000 * 9 * (150 / 72) ** 2
