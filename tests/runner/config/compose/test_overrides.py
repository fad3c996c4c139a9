"""Overrides are read as by Hydra's parser, whichever way they are read."""

import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from runner.config.compose.overrides import (
    Reader,
    n_points,
    overlap,
    sets_plain_value,
    stands_still,
    told,
)

KEYS = ["seed", "optimizer.learning_rate", "+a.b", "++a", "~a", "group@package", "hydra.x", "a/b"]
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.from_regex(r"[+-]?[0-9_]{0,3}\.?[0-9_]{0,3}([eE][+-]?[0-9_]{0,3})?", fullmatch=True),
    st.from_regex(r" ?[0-9]{1,3}[ a,.-]?", fullmatch=True),
)


@given(st.sampled_from(KEYS), NUMBERS)
def test_numbers_are_read_as_by_hydra(key: str, number: str):
    text, reader = f"{key}={number}", Reader()
    reader.read(f"{key}=1")
    try:
        expected = OverridesParser.create().parse_override(text)
    except HydraException:
        with pytest.raises(HydraException):
            reader.read(text)
        return
    found = reader.read(text)
    assert repr(found) == repr(expected)
    assert type(found.value()) is type(expected.value())


def test_each_text_of_one_key_keeps_its_own_value():
    reader = Reader()
    texts = ["model=mlp", "model=linear", "model=3", "model=mlp", "model=[1,2]", "model=0.5"]
    assert [reader.read(text).value() for text in texts] == [
        "mlp", "linear", 3, "mlp", [1, 2], 0.5,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["a=1", "a.b=1e-3", "a=null", "a=", "a=text", "a='x, y'", "a=[1,[x,null]]", "a=nan"]
)
def test_plain_data_is_plain(text: str):
    assert sets_plain_value(Reader().read(text))


@pytest.mark.parametrize(
    "text",
    [
        *("+a=1", "++a=1", "~a", "~a=1", "a@b=1", "hydra.verbose=true", "hydra/launcher=basic"),
        *("a={b:1}", "a=[{b:1}]", "a=${b}", "a='x${b}'", "a=[${b}]", "a=???", "a=1,2"),
    ],
)
def test_what_is_more_than_a_value_is_not(text: str):
    assert not sets_plain_value(Reader().read(text))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a=1", "++a=2", True),
        ("a.b=1", "++a={b:2}", True),
        ("a=1", "+a.b=2", True),
        ("a.b=1", "+a.c=2", False),
        ("a.b=1", "+ab=2", False),
    ],
)
def test_overrides_overlap_where_one_writes_into_the_other(one: str, other: str, expected: bool):
    reader = Reader()
    assert overlap(reader.read(one), reader.read(other)) is expected
    assert overlap(reader.read(other), reader.read(one)) is expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a=1"], 1),
        (["a=1,2,3", "b=x,y"], 6),
        (["a=1,2,3", "a=1,2"], 2),  # as in Hydra, the last one counts
        (["a=range(0,10)", "b=range(10,0,-3)", "c=range(3)"], 10 * 4 * 3),
        (["a=range(0,1,0.25)", "b=shuffle(range(1,4))"], 12),
        (["a=range(5,1)", "b=1,2"], 0),
        (["a=range(0,1,0)"], 1),  # Hydra's range refuses it
        (["a=range(0,10000000000000000000000)"], 10**22),
        (["a=range(0,inf)"], math.inf),
        (["a=range(nan,3)"], math.inf),
    ],
)
def test_points_are_counted_without_making_them(texts: list[str], expected: float):
    overrides = OverridesParser.create().parse_overrides(texts)
    assert n_points(overrides) == expected


def test_a_range_with_a_step_of_zero_is_told_from_others():
    found = OverridesParser.create().parse_overrides(["a=range(0,1,0)", "a=range(0,1,0.0)", "a=1"])
    assert [stands_still(override) for override in found] == [True, True, False]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a='relu'", "a=relu"),
        ('a="x y"', "a=x y"),
        ("a=relu", "a=relu"),
        ("a=sqlite\\:///b", "a=sqlite:///b"),
        ("+a.b='1'", "+a.b=1"),
        ("a=0.10", "a=0.10"),
        ("a=[x,'y']", "a=[x,'y']"),
        ("a='${b}'", "a=${b}"),
        ("~a", "~a"),
        ("a=null", "a=null"),
        ("a=", "a="),
    ],
)
def test_an_override_is_told_without_the_quotes_of_the_grammar(typed: str, expected: str):
    assert told(OverridesParser.create().parse_override(typed)) == expected
