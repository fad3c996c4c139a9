from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from matplotlib.colors import to_rgb

from runner.figures.bands import Curve, draw_bands, sum_up
from runner.figures.measures import Measure
from runner.figures.style import PALETTE
from tests.runner.figures.pixels import center, near, pixels

NAN, INF = float("nan"), float("inf")
LOSS = Measure("val/loss")
FIRST, SECOND = to_rgb(PALETTE[0]), to_rgb(PALETTE[1])


def test_a_seed_that_stopped_keeps_its_last_value() -> None:
    band = sum_up("", [[(1, 4.0), (2, 2.0)], [(1, 2.0), (2, 2.0), (3, 1.0)]], LOSS, False)
    np.testing.assert_array_equal(band.steps, [1, 2, 3])
    np.testing.assert_array_equal(band.mean, [3.0, 2.0, 1.5])
    np.testing.assert_array_equal(band.low, [2.0, 2.0, 1.0])
    np.testing.assert_array_equal(band.high, [4.0, 2.0, 2.0])


def test_between_its_evaluations_a_curve_is_straight() -> None:
    band = sum_up("", [[(0, 4.0), (4, 0.0)], [(0, 1.0), (1, 1.0), (4, 1.0)]], LOSS, False)
    np.testing.assert_array_equal(band.steps, [0, 1, 4])
    np.testing.assert_array_equal(band.mean, [2.5, 2.0, 0.5])


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(7, 3))
    curves = [list(enumerate(row.tolist())) for row in values]
    band = sum_up("", curves, LOSS, True)
    error = scipy.stats.sem(values, axis=0)
    low, high = scipy.stats.t.interval(0.95, 6, loc=values.mean(axis=0), scale=error)
    np.testing.assert_allclose(band.low, low, rtol=1e-12)  # the same formula in another order
    np.testing.assert_allclose(band.high, high, rtol=1e-12)


@pytest.mark.parametrize("interval", [True, False])
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_mean_ends_where_a_seed_is_no_longer_finite(value: float, interval: bool) -> None:
    band = sum_up("", [[(1, 1.0), (2, 1.0)], [(1, 3.0), (2, value)]], LOSS, interval)
    np.testing.assert_array_equal(band.mean, [2.0, NAN])
    assert np.isnan(band.high[1])


def drawn(curves: list[list[Curve]], folder: Path, interval: bool = False) -> Path:
    path = folder / "curves.png"
    bands = [sum_up(f"curve {n}", each, LOSS, interval) for n, each in enumerate(curves)]
    draw_bands(bands, LOSS, path, title="a sweep")
    return path


def test_each_mean_is_drawn_over_a_band_of_its_colour(tmp_path: Path) -> None:
    steps = range(0, 1000, 10)
    seeds = [[(step, base + width * 1.0) for step in steps] for base in (1,) for width in (0, 1)]
    picture = pixels(drawn([seeds], tmp_path))
    pale = tuple(1 - 0.18 * (1 - part) for part in FIRST)
    rows, columns = np.nonzero(near(picture, pale))
    assert columns.max() - columns.min() == pytest.approx(5.2 * 150 * 99 / 99, abs=3)
    mean_row, _ = center(near(picture, FIRST))
    assert mean_row == pytest.approx((rows.min() + rows.max()) / 2, abs=3)


def test_better_curves_lie_lower_and_one_alone_needs_no_legend(tmp_path: Path) -> None:
    good = [[(step, 1.0) for step in range(20)]]
    bad = [[(step, 2.0) for step in range(20)]]
    both = pixels(drawn([good, bad], tmp_path))
    assert center(near(both, FIRST))[0] > center(near(both, SECOND))[0] + 100
    assert pixels(drawn([good], tmp_path)).shape[1] < both.shape[1]


def test_a_loss_over_more_than_a_decade_falls_straight_by_its_exponents(tmp_path: Path) -> None:
    halving: Curve = [(step, 0.5**step) for step in range(20)]
    picture = pixels(drawn([[halving]], tmp_path))[170:]  # below the mark that it begins higher
    rows, columns = np.nonzero(near(picture, FIRST))
    assert np.corrcoef(rows, columns)[0, 1] > 0.999


def test_a_curve_that_ran_away_does_not_flatten_the_others(tmp_path: Path) -> None:
    learned: Curve = [(step, 1.0 - step / 200) for step in range(100)]
    wild: Curve = [(step, 1.5**step) for step in range(100)]
    picture = pixels(drawn([[learned], [learned], [wild]], tmp_path))
    rows, _ = np.nonzero(near(picture, FIRST)[:, :900])  # the legend is further right
    assert rows.max() - rows.min() > 40


def test_a_band_that_the_frame_cuts_is_marked_there(tmp_path: Path) -> None:
    flat = [[(step, 1.0 + base) for step in range(50)] for base in (0.0, 0.01)]
    wide = [[(s, 1.5 if 20 < s < 30 else 1.0) for s in range(50)], [(s, 1.0) for s in range(50)]]
    wide += [[(s, -0.5 if 20 < s < 30 else 1.0) for s in range(50)]]
    for curves, marks in (([flat, flat], 0), ([flat, wide], 2)):
        picture = pixels(drawn(curves, tmp_path))[:, :900]  # the legend is further right
        edges = near(picture, SECOND)
        edges[160:600] = False
        rows, columns = np.nonzero(edges)
        assert len({*(rows > 300).tolist()}) == marks
        if marks:
            middle = 117 + 780 * 25 / 49
            assert np.median(columns) == pytest.approx(middle, abs=20)  # a step has 16 pixels


@pytest.mark.parametrize(
    "curves",
    [
        [[(5, 1.0)]],
        [[(1, 1.0), (2, NAN)]],
        [[(1, 0.0), (2, 0.0)]],
        [[(1, 1e299), (2, 1e-299)]],
        [[(1, 1.0), (2, 1.0)], [(3, 1.0), (4, 0.5)]],
        [[(1, 1.0)], [(1, 1e9)]],
    ],
)
@pytest.mark.parametrize("interval", [True, False])
def test_any_curves_are_drawn(curves: list[Curve], interval: bool, tmp_path: Path) -> None:
    assert len(np.unique(pixels(drawn([curves, curves], tmp_path, interval)))) > 5
