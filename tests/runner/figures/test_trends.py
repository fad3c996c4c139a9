from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from runner.figures.measures import Measure
from runner.figures.style import INK, PALETTE
from runner.figures.trends import Trend, draw_trends
from tests.runner.figures.pixels import center, near, pixels, solid

NAN = float("nan")
COLORS = [to_rgb(color) for color in PALETTE]
# Of the panel, in pixels from the upper left.
TOP, BOTTOM, LEFT, RIGHT = 0.98 * 150, 4.08 * 150, 0.78 * 150, 5.98 * 150


def trend(settings: list[float], mean: list[float], half: float = NAN, label: str = "") -> Trend:
    values = np.array(mean)
    return Trend(label, np.array(settings), values, values - half, values + half)


def panel(
    trends: list[Trend],
    folder: Path,
    metric: str = "val/loss",
    cloud: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    joined: bool = True,
) -> NDArray[np.float64]:
    """Draw, and return the part of the picture without the legend."""
    path = folder / "trends.png"
    draw_trends(
        trends, cloud, Measure(metric), "learning_rate", path, title="a sweep", joined=joined
    )
    return pixels(path)[:, : int(RIGHT + 15)]


def places(trends: list[Trend], folder: Path) -> NDArray[np.float64]:
    """Return row and column of the first point of each trend."""
    picture = panel(trends, folder)
    return np.array([center(near(picture, COLORS[index])) for index in range(len(trends))])


def test_points_stand_by_the_exponents_of_the_setting(tmp_path: Path) -> None:
    found = places([trend([s], [m]) for s, m in ((0.01, 2), (0.1, 3), (1.0, 4))], tmp_path)
    (up, right), (again, once_more) = np.diff(found, axis=0)
    assert (again, once_more) == pytest.approx((up, right), abs=2)  # pixels
    assert up < -100
    assert right > 200


def test_points_of_an_even_range_stand_evenly(tmp_path: Path) -> None:
    found = places([trend([s], [1.0]) for s in (1.0, 11.0, 21.0)], tmp_path)
    (_, right), (_, again) = np.diff(found, axis=0)
    assert again == pytest.approx(right, abs=2)


def test_bars_reach_from_end_to_end_of_the_interval(tmp_path: Path) -> None:
    trends = [trend([1.0], [5.0], 0.25), trend([2.0], [6.0], 0.25)]
    apart = places(trends, tmp_path)
    rows, _ = np.nonzero(near(panel(trends, tmp_path), COLORS[0]))
    unit = apart[0, 0] - apart[1, 0]
    assert np.ptp(rows) == pytest.approx(0.5 * unit, abs=3)


def test_bars_that_the_frame_cuts_are_marked_there(tmp_path: Path) -> None:
    trends = [trend([1.0], [5.0], 9.0), trend([2.0], [6.0], 0.1)]
    picture = panel(trends, tmp_path)
    for edge, further in ((TOP, -4), (BOTTOM, 4)):  # a mark has half of itself outside
        outside = picture[int(edge) + further]
        assert near(outside[None], COLORS[0]).any()
        assert not near(outside[None], COLORS[1]).any()


def test_points_without_an_interval_have_no_bar(tmp_path: Path) -> None:
    trends = [trend([1.0], [5.0]), trend([2.0], [6.0])]
    rows, _ = np.nonzero(near(panel(trends, tmp_path), COLORS[0]))
    assert np.ptp(rows) < 12  # the marker


@pytest.mark.parametrize(("metric", "best"), [("val/loss", 1), ("val/accuracy", 0)])
def test_a_ring_is_around_the_best(metric: str, best: int, tmp_path: Path) -> None:
    trends = [trend([1.0], [0.9]), trend([2.0], [0.7]), trend([3.0], [0.8])]
    picture = panel(trends, tmp_path, metric)
    ink = near(picture, to_rgb(INK))
    ink[: int(TOP) - 10] = ink[int(BOTTOM) + 15 :] = False  # the words
    assert center(ink) == pytest.approx(center(near(picture, COLORS[best])), abs=2)


@pytest.mark.parametrize(("metric", "edge"), [("val/loss", TOP), ("val/accuracy", BOTTOM)])
@pytest.mark.parametrize("bad", [NAN, 1e9])
def test_what_cannot_be_drawn_is_marked_at_the_bad_edge(
    metric: str, edge: float, bad: float, tmp_path: Path
) -> None:
    bad = -bad if edge == BOTTOM else bad
    others = [trend([s], [m]) for s, m in ((2.0, 1.0), (3.0, 2.0), (4.0, 3.0), (5.0, 4.0))]
    picture = panel([trend([1.0], [bad]), *others], tmp_path, metric)
    row, column = center(near(picture, COLORS[0]))
    assert row == pytest.approx(edge, abs=8)  # half a mark
    assert LEFT < column < center(near(picture, COLORS[1]))[1]


def test_a_loss_that_ran_away_does_not_flatten_the_others(tmp_path: Path) -> None:
    means = {0.001: 0.5, 0.01: 0.4, 0.1: 0.3, 1.0: 0.6, 10.0: 1e9}
    found = places([trend([s], [m]) for s, m in means.items()], tmp_path)
    assert found[2, 0] - found[3, 0] > 200


def test_points_are_joined_only_where_asked(tmp_path: Path) -> None:
    zigzag = [trend([1.0, 2.0, 3.0], [1.0, 2.0, 1.0])]
    line, points = (panel(zigzag, tmp_path, joined=j) for j in (True, False))
    assert near(line, COLORS[0]).sum() > 3 * near(points, COLORS[0]).sum()


def test_the_better_half_of_the_cloud_is_in_view(tmp_path: Path) -> None:
    best = [trend([1.0, 2.0], [1.0, 1.1])]
    cloud = (np.repeat([1.0, 2.0], 5), np.array([1.0, 2, 3, 4, 5, 1.1, 2, 3, 4, 5]))
    rows, _ = np.nonzero(solid(near(panel(best, tmp_path, cloud=cloud), to_rgb("#B8B8B8"))))
    line, _ = np.nonzero(near(panel(best, tmp_path, cloud=cloud), COLORS[0]))
    assert rows.min() == pytest.approx(TOP, abs=25)
    assert np.ptp(line) > 0.03 * (BOTTOM - TOP)


@pytest.mark.parametrize(
    "trends",
    [
        [trend([1.0, 2.0], [NAN, 1.0])],
        [trend([0.0, 1e-5, 0.1], [1.0, 0.0, 1.0], 5.0)],
        [trend([-5.0, 5.0], [1e299, -1e299], 1e299)],
        [trend([1e-150, 1e150], [1e-299, 1e299], 1e299)],
        [trend([1.0, 1.0 + 1e-15], [1.0, 1.0 + 1e-15])],
        [trend([float(s) for s in range(1000)], [float(s % 7) for s in range(1000)], 1.0)],
        [trend([1.0, 2.0], [1.0, 2.0], label="日本語 $x$" * 5) for _ in range(6)],
    ],
)
def test_any_trends_are_drawn(trends: list[Trend], tmp_path: Path) -> None:
    assert near(panel(trends, tmp_path), to_rgb(INK)).sum() > 30
    assert near(panel(trends, tmp_path), COLORS[0]).sum() > 10
