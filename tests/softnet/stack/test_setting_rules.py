"""Each setting out of its range: which one, what is allowed, what was got."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from softnet import SGD, Adam, Constant, Cosine, EarlyStopping, SettingError, Step

ABOVE_0 = "a finite number above 0"
FROM_0 = "a finite number, 0 or above"
SHARE = "a number from 0 up to, but not, 1"
COUNT_FROM_0, COUNT_FROM_1 = "a whole number, 0 or above", "a whole number, 1 or above"

NOT_ABOVE_0 = [0.0, -0.1, math.nan, math.inf]
NEGATIVE = [-0.1, math.nan, math.inf]
NO_SHARE = [-0.1, 1.0, 1.5, math.nan]


def sgd(**settings: object) -> SGD.Settings:
    return SGD.Settings(**{"learning_rate": 0.1, **settings})


def adam(**settings: object) -> Adam.Settings:
    return Adam.Settings(**{"learning_rate": 0.1, **settings})


Make = Callable[..., object]
TABLE: list[tuple[Make, str, str, list[object]]] = [
    (sgd, "learning_rate", ABOVE_0, NOT_ABOVE_0),
    (sgd, "weight_decay", FROM_0, NEGATIVE),
    (sgd, "clip_norm", ABOVE_0, NOT_ABOVE_0),
    (sgd, "momentum", SHARE, NO_SHARE),
    (sgd, "nesterov", "false where momentum is 0", [True]),
    (adam, "learning_rate", ABOVE_0, NOT_ABOVE_0),
    (adam, "weight_decay", FROM_0, NEGATIVE),
    (adam, "clip_norm", ABOVE_0, NOT_ABOVE_0),
    (adam, "beta1", SHARE, NO_SHARE),
    (adam, "beta2", SHARE, NO_SHARE),
    (adam, "epsilon", ABOVE_0, NOT_ABOVE_0),
    (Constant, "warmup_steps", COUNT_FROM_0, [-1, 1.5]),
    (Step, "warmup_steps", COUNT_FROM_0, [-1, 1.5]),
    (Step, "every", COUNT_FROM_1, [0, -1, 1.5]),
    (Step, "factor", ABOVE_0, NOT_ABOVE_0),
    (Cosine, "warmup_steps", COUNT_FROM_0, [-1, 1.5]),
    (Cosine, "final_factor", FROM_0, NEGATIVE),
    (EarlyStopping, "patience", COUNT_FROM_1, [0, -1, 1.5, math.nan]),
    (EarlyStopping, "min_delta", FROM_0, NEGATIVE),
    (EarlyStopping, "metric", "a recorded metric such as 'val/loss'", ["val/los", "", "loss/val"]),
]
CASES = [(make, setting, rule, got) for make, setting, rule, gots in TABLE for got in gots]


@pytest.mark.parametrize(("make", "setting", "rule", "got"), CASES)
def test_setting_out_of_range_names_itself_its_rule_and_what_was_got(
    make: Make, setting: str, rule: str, got: object
) -> None:
    with pytest.raises(SettingError) as caught:
        make(**{setting: got})
    assert str(caught.value) == f"{setting}: must be {rule}, got {got!r}."
    assert (caught.value.setting, caught.value.rule) == (setting, rule)
    assert caught.value.got is got


@pytest.mark.parametrize(
    ("make", "setting", "value"),
    [
        (sgd, "learning_rate", 1e200),
        (sgd, "learning_rate", 5e-324),
        (sgd, "weight_decay", 0.0),
        (sgd, "clip_norm", None),
        (sgd, "momentum", 0.0),
        (sgd, "momentum", 0.999999),
        (adam, "beta1", 0.0),
        (adam, "beta2", 0.0),
        (Constant, "warmup_steps", 0),
        (Step, "every", 1),
        (Step, "factor", 2.0),
        (Cosine, "final_factor", 0.0),
        (Cosine, "final_factor", 3.0),
        (EarlyStopping, "patience", 1),
        (EarlyStopping, "min_delta", 0.0),
        (EarlyStopping, "metric", "train/accuracy"),
    ],
)
def test_setting_at_the_edge_of_its_range_is_taken(make: Make, setting: str, value: object) -> None:
    assert getattr(make(**{setting: value}), setting) == value


def test_a_setting_error_is_a_value_error() -> None:
    assert issubclass(SettingError, ValueError)
