import math

import pytest

from runner.training.outcome import Outcome, best_first, by_settings


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


def test_of_equals_the_better_by_the_next_metric_is_first() -> None:
    found = {
        "a": {"test/accuracy": 1.0, "val/loss": 0.3, "val/accuracy": 0.9},
        "b": {"test/accuracy": 1.0, "val/loss": 0.2, "val/accuracy": 0.8},
        "c": {"test/accuracy": 1.0, "val/loss": 0.2, "val/accuracy": 0.9},
        "d": {"test/accuracy": 1.0},
        "e": {"test/accuracy": 0.9, "val/loss": 0.1},
    }
    for names in ("abcde", "edcba"):
        ranked = best_first(
            names,
            "test/accuracy",
            lambda name: found[name]["test/accuracy"],
            lambda name, metric: found[name].get(metric),
        )
        assert "".join(ranked) == "cbade"


def test_settings_are_in_order_as_numbers_before_words() -> None:
    texts = ["sgd", "10", "9", "-1", "1e1", "nan", "adam"]
    outcomes = [Outcome("", "", "FINISHED", {"a": text}, {}, None, 0.0) for text in texts]
    ordered = [outcome.varied["a"] for outcome in sorted(outcomes, key=by_settings)]
    assert ordered == ["-1", "9", "10", "1e1", "adam", "nan", "sgd"]
