import numpy as np
import pytest

from runner.figures.measures import Measure

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("metric", "label", "direction"),
    [
        ("val/loss", "validation loss (mean per row)", "lower is better"),
        ("test/accuracy", "test accuracy (% of rows)", "higher is better"),
        ("best/val/loss", "best validation loss (mean per row)", "lower is better"),
    ],
)
def test_a_metric_is_told_in_words(metric: str, label: str, direction: str) -> None:
    assert (Measure(metric).label, Measure(metric).direction) == (label, direction)


def test_values_are_shown_in_the_unit_and_none_that_cannot_be_drawn() -> None:
    values = np.array([0.5, INF, -INF, NAN, 1e301])
    np.testing.assert_array_equal(Measure("loss").shown(values), [0.5, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(Measure("accuracy").shown(values), [50.0, NAN, NAN, NAN, NAN])


def test_the_best_is_the_first_by_the_direction() -> None:
    values = np.array([NAN, 2.0, 1.0, 1.0, 2.0])
    assert Measure("val/loss").best(values) == 2
    assert Measure("val/accuracy").best(values) == 1
    assert Measure("val/loss").best(np.array([NAN])) is None


@pytest.mark.parametrize(
    ("metric", "values", "tame"),
    [
        # The median is 0.1 behind the best: 10 and more behind is wild.
        ("loss", [0.3, 0.3, 0.2, 0.3, 0.3, 10.1, 10.3], [True] * 6 + [False]),
        ("loss", [0.3, NAN, INF, 0.4], [True, False, False, True]),
        ("accuracy", [0.9, 0.8, 0.1], [True, True, True]),
        ("accuracy", [0.9, 0.9, 0.8, -1e6], [True, True, True, False]),
        ("loss", [1.0, 1.0, 5.0], [True, True, True]),  # nothing tells what is far
        ("loss", [-1e299, 0.0, 1e299], [True, True, True]),
        ("loss", [NAN], [False]),
        ("loss", [], []),
    ],
)
def test_values_that_would_hide_the_rest_are_wild(
    metric: str, values: list[float], tame: list[bool]
) -> None:
    assert Measure(metric).tame(np.array(values, dtype=np.float64)).tolist() == tame
