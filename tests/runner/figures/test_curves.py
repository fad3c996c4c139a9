from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from runner.figures.curves import Curve, draw_bands, draw_learning_curve, sum_up
from runner.figures.scales import Line, Measure
from runner.figures.style import PALETTE
from tests.runner.figures.pictures import assert_whole, line, texts

NAN, INF = float("nan"), float("inf")
LOSS = Measure("val/loss")


def test_both_splits_are_drawn_and_the_best_step_is_named(tmp_path: Path) -> None:
    history = [
        (10, {"train/loss": 2.0, "val/accuracy": 0.5, "val/loss": 3.0}),
        (20, {"train/loss": 1.0, "val/accuracy": 0.75, "val/loss": NAN}),
    ]
    figure = draw_learning_curve(history, 20, tmp_path / "curve.png", "a run")
    loss, accuracy = figure.axes
    assert line(loss, PALETTE[0]) == [[10, 20], [2, 1]]
    np.testing.assert_array_equal(line(loss, PALETTE[1]), [[10, 20], [3, NAN]])
    assert line(accuracy, PALETTE[1]) == [[10, 20], [50, 75]]
    written = " ".join(texts(figure))
    words = ("a run", "training", "accuracy (% of rows)", "best step, 20", "not finite at step 20")
    assert all(word in written for word in words)
    assert_whole(tmp_path / "curve.png")


@pytest.mark.parametrize(
    "history",
    [
        [],
        [(1, {"test/loss": 1.0})],
        [(0, {"train/loss": 0.5})],
        [(1, {"train/loss": NAN, "val/loss": INF})],
        [(1, {"train/loss": 1e149}), (2, {"train/loss": 5e-324}), (3, {"train/loss": 1e308})],
        [(1, {"train/loss": 1e299}), (2, {"train/loss": 0.0}), (3, {"val/loss": 0.0})],
        [(1, {"train/accuracy": 1.0}), (10**12, {"train/accuracy": 1.0})],
        [(1, {"train/loss": -3.0}), (2, {"train/loss": 3.0})],
    ],
)
def test_any_history_is_drawn(history: list[tuple[int, dict[str, float]]], tmp_path: Path) -> None:
    draw_learning_curve(history, None, tmp_path / "curve.png", "$a$")
    assert_whole(tmp_path / "curve.png")


def test_a_seed_that_stopped_keeps_its_last_value_and_between_evaluations_it_is_straight() -> None:
    band = sum_up("", [[(1, 4.0), (3, 2.0)], [(1, 2.0), (2, 2.0), (4, 1.0)]], LOSS, False)
    np.testing.assert_array_equal(band.x, [1, 2, 3, 4])
    np.testing.assert_array_equal(band.mean, [3.0, 2.5, 1.75, 1.5])
    np.testing.assert_array_equal(band.low, [2.0, 2.0, 1.5, 1.0])
    np.testing.assert_array_equal(band.high, [4.0, 3.0, 2.0, 2.0])


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(7, 3))
    band = sum_up("", [list(enumerate(row.tolist())) for row in values], LOSS, True)
    error = scipy.stats.sem(values, axis=0)
    low, high = scipy.stats.t.interval(0.95, 6, loc=values.mean(axis=0), scale=error)
    # The same formula in another order.
    np.testing.assert_allclose([band.low, band.high], [low, high], rtol=1e-12)


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_mean_ends_where_a_seed_is_no_longer_finite(value: float) -> None:
    band = sum_up("", [[(1, 1.0), (2, 1.0)], [(1, 3.0), (2, value)]], LOSS, True)
    np.testing.assert_array_equal([band.mean[1], band.high[1]], [NAN, NAN])


def falling(end: float) -> Line:
    """Make a curve that falls fast from 1.5 above its end."""
    curve = [(step, end + 1.5 * 0.9**step) for step in range(100)]
    return sum_up(f"end={end} of $a long$ name", [curve], LOSS, False)


def test_curves_of_a_sweep_are_drawn_in_the_range_where_they_differ(tmp_path: Path) -> None:
    bands = [falling(0.10 + n / 100) for n in range(5)]
    figure = draw_bands(bands, LOSS, tmp_path / "bands.png", "a", "b")
    (axes,) = figure.axes
    assert line(axes, PALETTE[0])[1] == bands[0].mean.tolist()
    assert axes.get_ylim()[1] < 0.5
    ends = axes.transAxes.inverted().transform(
        axes.transData.transform([(99, band.mean[-1]) for band in bands])
    )
    assert np.diff(ends[:, 1]).min() > 0.02
    assert "leaves out" in " ".join(texts(figure))
    assert {band.label for band in bands} <= {*texts(figure)}
    assert_whole(tmp_path / "bands.png")


@pytest.mark.parametrize(
    "curves",
    [
        [[(5, 1.0)], [(5, 1e9)]],
        [[(1, 1.0), (2, NAN)]],
        [[(1, 0.0), (2, 0.0)]],
        [[(1, 1e149), (2, 1e-299)]],
        [[(1, 1.0), (2, 1.0)], [(3, 1.0), (4, 0.5)]],
    ],
)
def test_any_curves_are_drawn(curves: list[Curve], tmp_path: Path) -> None:
    draw_bands([sum_up("$c$", curves, LOSS, True)] * 2, LOSS, tmp_path / "bands.png", "a")
    assert_whole(tmp_path / "bands.png")
