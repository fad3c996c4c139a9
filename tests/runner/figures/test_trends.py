from pathlib import Path

import numpy as np
import pytest

from runner.figures.scales import Line, Measure
from runner.figures.style import PALETTE
from runner.figures.trends import draw_trends
from tests.runner.figures.pictures import assert_whole, line, texts

NAN = float("nan")
LOSS = Measure("val/loss")


def trend(settings: list[float], mean: list[float], half: float = NAN, label: str = "") -> Line:
    values = np.array(mean)
    return Line(label, np.array(settings), values, values - half, values + half)


def test_each_trend_is_a_line_with_bars_and_a_label(tmp_path: Path) -> None:
    trends = [trend([1.0, 2.0], [5.0, 6.0], 0.25, "$a$"), trend([1.0, 2.0], [5.1, 6.1], NAN, "b")]
    figure = draw_trends(trends, "rate", LOSS, tmp_path / "t.png", "a sweep")
    (axes,) = figure.axes
    assert line(axes, PALETTE[0]) == [[1, 2], [5, 6]]
    assert line(axes, PALETTE[1]) == [[1, 2], [5.1, 6.1]]
    bars, none = (bars.get_segments() for bars in axes.collections)
    np.testing.assert_allclose(np.array(bars)[:, :, 1], [[4.75, 5.25], [5.75, 6.25]])
    assert not any(len(bar) and np.isfinite(bar).all() for bar in none)
    assert {"$a$", "b", "rate", "a sweep"} <= {*texts(figure)}
    assert_whole(tmp_path / "t.png")


@pytest.mark.parametrize(
    ("metric", "words"), [("val/loss", "0.700 at 2"), ("accuracy", "0.900 at 1")]
)
def test_the_best_is_ringed_and_named(metric: str, words: str, tmp_path: Path) -> None:
    points = trend([1.0, 2.0, 3.0], [0.9, 0.7, 0.8])
    figure = draw_trends([points], "x", Measure(metric), tmp_path / "t.png", "")
    assert any(words in text for text in texts(figure))
    (ring,) = figure.axes[0].findobj(lambda artist: artist.get_gid() == "best")
    assert ring.get_xdata() == [float(words[-1])]


@pytest.mark.parametrize(("bad", "words"), [(NAN, "no finite value"), (1e9, "beyond the scale")])
def test_what_cannot_be_drawn_costs_its_point_and_is_marked(
    bad: float, words: str, tmp_path: Path
) -> None:
    points = trend([1.0, 2.0, 3.0, 4.0, 5.0], [bad, 1.0, 2.0, 3.0, 4.0])
    figure = draw_trends([points], "x", LOSS, tmp_path / "t.png", "")
    (axes,) = figure.axes
    assert axes.get_ylim()[1] < 10
    assert np.isnan(line(axes, PALETTE[0])[1][0])
    marks = axes.findobj(lambda artist: artist.get_gid() == "absent")
    assert [1.0] in [mark.get_xdata().tolist() for mark in marks]
    assert any(words in text for text in texts(figure))


@pytest.mark.parametrize(
    "trends",
    [
        [trend([1.0, 2.0], [NAN, 1.0])],
        [trend([0.0, 1e-5, 0.1], [1.0, 0.0, 1.0], 5.0)],
        [trend([1e-149, 1e149], [1e-299, 1e149], 1e149)],
        [trend([float(s) for s in range(1000)], [float(s % 7) for s in range(1000)], 1.0)],
        [trend([1.0, 2.0], [1.0, 2.0], 9.0, label="日本語 $x$" * 5) for _ in range(6)],
        [trend([1.0, 2.0], [NAN, NAN], label="a"), trend([1.0], [2.0], label="b")],
    ],
)
def test_any_trends_are_drawn(trends: list[Line], tmp_path: Path) -> None:
    draw_trends(trends, "a $key$", LOSS, tmp_path / "t.png", "a")
    assert_whole(tmp_path / "t.png")
