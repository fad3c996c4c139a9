import math

import pytest

from runner.outcome import best_first


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("val/loss", [-math.inf, 0.5, 0.9, math.inf]),
        ("test/accuracy", [math.inf, 0.9, 0.5, -math.inf]),
    ],
)
def test_the_best_comes_first(metric: str, expected: list[float]) -> None:
    assert best_first([0.9, math.inf, 0.5, -math.inf], metric, lambda value: value) == expected


@pytest.mark.parametrize("metric", ["val/loss", "val/accuracy"])
def test_what_has_no_value_comes_last_in_its_order(metric: str) -> None:
    values = {"a": math.nan, "b": None, "c": math.inf, "d": math.nan, "e": 1.0, "f": -math.inf}
    assert best_first(values, metric, values.get)[3:] == ["a", "b", "d"]


def test_equals_keep_their_order() -> None:
    assert best_first(["ab", "c", "de", "f"], "val/loss", len) == ["c", "f", "ab", "de"]
