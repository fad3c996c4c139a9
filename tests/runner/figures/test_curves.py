from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from runner.figures.curves import draw_learning_curve
from runner.figures.style import PALETTE
from tests.runner.figures.pixels import center, near, pixels

NAN, INF = float("nan"), float("inf")
BOTH = [
    (
        step,
        {
            "train/loss": 1 / step,
            "train/accuracy": 1 - 1 / step,
            "val/loss": 0.1 + 1 / step,
            "val/accuracy": 0.9 - 1 / step,
        },
    )
    for step in range(10, 400, 10)
]
TRAIN, VAL = to_rgb(PALETTE[0]), to_rgb(PALETTE[1])


def test_both_splits_are_drawn_in_their_own_colours(tmp_path: Path) -> None:
    draw_learning_curve(BOTH, None, tmp_path / "curve.png")
    picture = pixels(tmp_path / "curve.png")
    assert near(picture, TRAIN).sum() > 500
    assert near(picture, VAL).sum() > 500


def test_a_run_without_validation_has_no_validation_curve(tmp_path: Path) -> None:
    history = [(step, {"train/loss": m["train/loss"]}) for step, m in BOTH]
    draw_learning_curve(history, None, tmp_path / "curve.png")
    picture = pixels(tmp_path / "curve.png")
    assert near(picture, TRAIN).sum() > 500
    assert near(picture, VAL).sum() == 0


def test_the_loss_falls_from_upper_left_to_lower_right(tmp_path: Path) -> None:
    history = [(step, {"train/loss": 500.0 - step}) for step in range(400)]
    draw_learning_curve(history, None, tmp_path / "curve.png")
    drawn = near(pixels(tmp_path / "curve.png"), TRAIN)
    drawn[: int(drawn.shape[0] * 0.25)] = False  # the legend
    rows, columns = np.nonzero(drawn)
    assert np.corrcoef(rows, columns)[0, 1] > 0.99


def test_the_best_step_is_marked_where_it_was(tmp_path: Path) -> None:
    draw_learning_curve(BOTH, None, tmp_path / "plain.png")
    places = []
    for best in (100, 200, 300):
        draw_learning_curve(BOTH, best, tmp_path / "marked.png")
        changed = pixels(tmp_path / "plain.png") != pixels(tmp_path / "marked.png")
        lower = changed.any(axis=2)
        lower[: lower.shape[0] // 2] = False  # the upper panel holds the words too
        places.append(center(lower)[1])
    assert places[2] - places[1] == pytest.approx(places[1] - places[0], abs=2)  # pixels
    assert places[1] - places[0] > 100


@pytest.mark.parametrize(
    "history",
    [
        [],
        [(1, {})],
        [(100, {"train/loss": 0.5})],
        [(0, {"train/loss": 0.5}), (1, {"train/loss": 0.4})],
        [(1, {"train/loss": NAN, "val/loss": NAN})],
        [(1, {"train/loss": 1.0}), (2, {"train/loss": INF}), (3, {"train/loss": NAN})],
        [(1, {"train/loss": 1e308}), (2, {"train/loss": 1e-308})],
        [(1, {"train/loss": 1e299}), (2, {"train/loss": 0.9e299})],
        [(1, {"train/loss": 0.0}), (2, {"train/loss": 0.0})],
        [(1, {"train/loss": 5e-324}), (2, {"train/loss": 1.0})],
        [(1, {"val/loss": 1.0}), (2, {"train/loss": 1.0})],
        [(1, {"train/accuracy": 1.0}), (10**12, {"train/accuracy": 1.0})],
        [(1, {"train/loss": -3.0}), (2, {"train/loss": 3.0})],
        [(1, {"test/loss": 1.0})],
    ],
)
def test_any_history_is_drawn(history: list[tuple[int, dict[str, float]]], tmp_path: Path) -> None:
    draw_learning_curve(history, None, tmp_path / "curve.png")
    assert len(np.unique(pixels(tmp_path / "curve.png"))) > 5


def test_a_loss_that_was_not_finite_is_said(tmp_path: Path) -> None:
    broken = [(step, {"train/loss": 1.0 if step < 3 else NAN}) for step in range(1, 6)]
    short = broken[:2] + [(step, {}) for step in (3, 4)] + [(5, {"train/loss": 1.0})]
    draw_learning_curve(broken, None, tmp_path / "broken.png")
    assert near(pixels(tmp_path / "broken.png"), VAL).sum() > 20  # the words
    draw_learning_curve([*broken[:2], short[-1]], None, tmp_path / "whole.png")
    assert near(pixels(tmp_path / "whole.png"), VAL).sum() == 0
