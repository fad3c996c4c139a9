"""What a column holds is told from the text and the numbers that it should hold."""

import math

import pytest

from runner.system.errors import RecordError
from runner.tracking.backend.rows import metric_of, numbers_of, tags_of, texts_of

BYTES = b"\xfe\0"


def test_text_is_text_and_numbers_are_numbers() -> None:
    mixed = {"text": "a", "none": None, "bytes": BYTES, "float": 0.5, "int": 2, BYTES: "x"}
    assert texts_of(mixed) == {"text": "a"}
    assert numbers_of(mixed) == {"float": 0.5, "int": 2.0}
    assert numbers_of({"truth": True}) == {}


@pytest.mark.parametrize("value", [None, BYTES, 5])
def test_a_tag_of_ours_must_be_text(value: object) -> None:
    with pytest.raises(RecordError, match=r"^runner\.key: must be text, got"):
        tags_of({"runner.key": value})
    assert tags_of({"mlflow.user": value, "runner.key": "a"}) == {"runner.key": "a"}


def test_a_value_of_a_metric_is_whole() -> None:
    assert metric_of("val/loss", 3, 1) == ("val/loss", 3, 1.0)
    assert math.isnan(metric_of("val/loss", 3, math.nan)[2])


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ((BYTES, 3, 0.5), "must have names that are text"),
        (("a", "x", 0.5), "must have steps that are whole numbers, got 'x'"),
        (("a", 100.5, 0.5), "must have steps that are whole numbers, got 100.5"),
        (("a", None, 0.5), "must have steps that are whole numbers, got None"),
        (("a", 3, "abc"), "'a' at step 3: must be a number, got 'abc'"),
        (("a", 3, None), "'a' at step 3: must be a number, got None"),
        (("a\x1b[2J", 3, BYTES), "must be a number, got"),
    ],
)
def test_anything_else_is_named(told: tuple[object, object, object], says: str) -> None:
    with pytest.raises(RecordError, match=says) as caught:
        metric_of(*told)
    assert str(caught.value).isprintable()
