import numpy as np
import pytest

from runner.figures.scales import (
    Measure,
    is_geometric,
    scale_settings,
    scale_values,
    with_intervals,
)
from runner.figures.style import house_style, new_figure

NAN, INF = float("nan"), float("inf")


def test_a_metric_is_named_with_its_unit_and_direction() -> None:
    assert Measure("val/loss").axis_label == "validation loss (mean per row), lower is better"
    assert Measure("best/val/accuracy").axis_label == (
        "best validation accuracy (% of rows), higher is better"
    )


def test_values_are_in_the_unit_and_what_cannot_be_drawn_is_none() -> None:
    values = np.array([0.5, INF, -INF, NAN, 1e300, 0.25, 0.5, 0.25])
    shown = Measure("accuracy").in_unit(values)
    np.testing.assert_array_equal(shown, [50.0, NAN, NAN, NAN, NAN, 25.0, 50.0, 25.0])
    assert Measure("accuracy").best(shown) == 0
    assert Measure("val/loss").best(shown) == 5
    assert Measure("val/loss").best(shown[1:5]) is None


@pytest.mark.parametrize(
    ("metric", "curves", "view"),
    [
        ("loss", [[0.3, 0.3, 0.2, 0.3, 0.3, 10.1, 1e6]], (0.2, 0.3)),
        ("loss", [[0.3, NAN, INF, 0.4]], (0.3, 0.4)),
        ("accuracy", [[90.0, 91.0, 80.0, -1e6]], (80.0, 91.0)),
        ("loss", [[1.0, 1.0, 5.0]], (1.0, 5.0)),  # nothing tells what is far
        ("loss", [[1.0, 2.0], [7.0, 8.0]], (1.0, 8.0)),  # each curve is seen
        ("loss", [[-1e149, 0.0, 1e149], [NAN]], (-1e149, 1e149)),
    ],
)
def test_values_that_would_flatten_the_rest_are_out_of_view(
    metric: str, curves: list[list[float]], view: tuple[float, float]
) -> None:
    assert Measure(metric).view([np.array(curve) for curve in curves], room=20.0) == view


@pytest.mark.parametrize(
    ("settings", "geometric"),
    [
        ([0.001, 0.003, 0.01, 0.03, 0.1], True),
        ([0.0, 1e-5, 1e-4, 1e-3], True),
        ([1.0, 2.0, 4.0, 8.0], False),  # no decade
        ([1.0, 11.0, 21.0], False),  # evenly spaced
        ([-1.0, 0.001, 1.0], False),
    ],
)
def test_settings_are_spaced_by_their_exponents_where_these_were_swept(
    settings: list[float], geometric: bool
) -> None:
    assert is_geometric(np.array(settings)) is geometric


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ([0.001, 0.003, 0.01], ["0.001", "0.003", "0.01"]),
        ([0.0, 1e-5, 1e-4, 1e-3], ["0", "1e\N{MINUS SIGN}5", "0.0001", "0.001"]),
        ([1e-149, 1e149], None),
        ([0.0, 1e-149, 1.0, 1e3], None),
        ([float(value) for value in range(1000)], None),
        ([10.0 ** (value / 100) for value in range(500)], None),
    ],
)
def test_any_settings_lie_inside_the_axes_and_few_have_a_tick_each(
    settings: list[float], labels: list[str] | None
) -> None:
    with house_style():
        figure, (axes,) = new_figure(5.0, 3.0)
        scale_settings(axes, np.array(settings))
        figure.canvas.draw()
    left, right = axes.get_xlim()
    assert left <= settings[0] < settings[-1] <= right
    written = [tick.get_text() for tick in axes.get_xticklabels()]
    assert written == labels if labels else len(written) <= 12


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([9.5, 11.5], (9.5, 11.5)),
        # An interval far longer than the means are apart is followed by their distance.
        ([-1000.0, 1000.0], (9.0, 12.0)),
        ([NAN, NAN], (10.0, 11.0)),
        ([], (10.0, 11.0)),
    ],
)
def test_a_view_follows_intervals_as_far_as_means_reach(
    ends: list[float], expected: tuple[float, float]
) -> None:
    assert with_intervals((10.0, 11.0), np.array(ends)) == expected


@pytest.mark.parametrize("view", [(10.0, 11.0), (0.0, 1.0), (1e-9, 1e149), (-1.0, 1.0), (5.0, 5.0)])
@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_a_view_lies_inside_the_axes(metric: str, view: tuple[float, float]) -> None:
    _, (axes,) = new_figure(5.0, 3.0)
    scale_values(axes, view, Measure(metric))
    bottom, top = axes.get_ylim()
    assert bottom <= view[0]
    assert top >= min(view[1], 102.0)
    assert axes.get_yscale() == ("log" if metric == "loss" and view[0] == 1e-9 else "linear")
