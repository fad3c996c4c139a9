"""Overrides are read as by Hydra's parser, counted, and applied to a recorded config."""

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from runner.config.compose.overrides import (
    Reader,
    apply_overrides,
    check_size,
    overlap,
    sets_plain_value,
    with_quotes,
)
from runner.system.errors import CommandError, RunnerError

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
    ("argument", "value"),
    [
        ("name=Kündigt", "Kündigt"),
        ("name='Kündigt'", "Kündigt"),
        ("name=/home/ü/x y.csv", "/home/ü/x y.csv"),
        ("data.drop=[Größe in cm, age]", ["Größe in cm", "age"]),
        ("data.columns={number: [Größe]}", {"number": ["Größe"]}),
    ],
)
def test_letters_beyond_ascii_need_no_quotes(argument: str, value: object):
    assert Reader().read(with_quotes(argument)).value() == value


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
    ],
)
def test_jobs_are_counted_without_making_them(texts: list[str], expected: int):
    assert check_size(OverridesParser.create().parse_overrides(texts)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=range(5,1)", "a=range(5,1): must have at least one value"),
        ("a=range(0,1,0)", "a=range(0,1,0): must have a step other than 0, got 0."),
        ("a=range(0,1,0.0)", "a step other than 0"),
        ("a=range(0,10000000000000000000000)", "at most 1,000,000 jobs, got 20,000,000,000"),
        ("a=range(0,inf)", "got no end of them"),
        ("a=range(nan,3)", "got no end of them"),
    ],
)
def test_sweep_that_could_not_be_planned_is_refused(text: str, message: str):
    with pytest.raises(CommandError) as refused:
        check_size(OverridesParser.create().parse_overrides([text, "b=1,2"]))
    assert message in str(refused.value)


# Overrides of a recorded config.

CONFIG: dict[str, Any] = {
    "seed": 0,
    "model": {"hidden_layer_sizes": [8], "activation": "relu"},
    "training": {"early_stopping": None, "averaging": {"a": 1, "b": 2}},
}


@pytest.mark.parametrize(
    ("override", "section", "expected"),
    [
        ("seed=7", "seed", 7),
        ("seed=1e3", "seed", 1000.0),
        ("model.hidden_layer_sizes=[64,32]", "model", {"hidden_layer_sizes": [64, 32]}),
        ("model.activation=tanh", "model", {"activation": "tanh"}),
        (
            "training.early_stopping={metric: val/loss, patience: 3}",
            "training",
            {"early_stopping": {"metric": "val/loss", "patience": 3}},
        ),
        ("training.early_stopping.patience=3", "training", {"early_stopping": {"patience": 3}}),
        ("training.averaging=null", "training", {"averaging": None}),
        ("model.unknown=1", "model", {"unknown": 1}),  # the schema's to refuse, by name
    ],
)
def test_a_value_is_put_in_its_place(override: str, section: str, expected: object) -> None:
    result = apply_overrides(CONFIG, [override])
    if isinstance(expected, dict):
        expected = {**CONFIG.get(section, {}), **expected}
    assert result == {**CONFIG, section: expected}


def test_config_itself_stays_as_it_is() -> None:
    apply_overrides(CONFIG, ["model.activation=tanh", "seed=3"])
    assert CONFIG["model"] == {"hidden_layer_sizes": [8], "activation": "relu"}
    assert CONFIG["seed"] == 0


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=1,2", "seed=1,2: must be one value; runner --multirun sweeps over several."),
        ("seed=range(0,3)", "must be one value"),
        ("~seed", "must put a plain value in a place (key=value)"),
        ("+seed=1", "must put a plain value"),
        ("seed=${oc.env:HOME}", "must put a plain value"),
        ("seed=???", "must put a plain value"),
        ("hydra.job.name=x", "must put a plain value"),
        ("seed=[1", "seed=[1"),
        ("model=mlp", "must be single settings (model.activation=...) or a whole group ('model={"),
        ("model=mlp", "no file of conf/ is composed into what is on record"),
        ("training.averaging=1", "must be single settings (training.averaging.b=...) or a whole"),
        ("experiment=digits", "must change a setting (seed, model, training)"),
        ("experiment.seed=1", "must change a setting (seed, model, training)"),
        ("sed=1", "Did you mean 'seed'?"),
    ],
)
def test_what_is_more_than_a_value_is_refused(override: str, expected: str) -> None:
    with pytest.raises(RunnerError) as refused:
        apply_overrides(CONFIG, [override])
    assert expected in str(refused.value)
    assert refused.value.exit_code == 2
    assert len(str(refused.value).splitlines()) <= 3
