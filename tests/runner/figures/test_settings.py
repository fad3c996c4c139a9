import re

import numpy as np
import pytest

from runner.figures.settings import Settings


def test_the_seed_and_what_does_not_vary_are_no_settings() -> None:
    settings = Settings([{"a.x": "1", "b": "2", "seed": "0"}, {"a.x": "2", "b": "2", "seed": "1"}])
    assert settings.keys == ["a.x"]


@pytest.mark.parametrize(
    "texts",
    [
        ["sgd", "adam"],
        ["0.1", "none"],
        ["0.1", "nan"],
        ["0.1", "inf"],
        ["0.1", "1e-1"],  # two texts, one number
        ["0.1", "1e300"],  # its distance to another could not be drawn
        ["true", "false"],
        ["[64,32]", "[8]"],
    ],
)
def test_what_is_not_finite_numbers_is_not_taken_for_them(texts: list[str]) -> None:
    assert Settings([{"a": text} for text in texts]).numbers == {}


def test_numbers_are_read() -> None:
    settings = Settings([{"a": "1e-3", "b": "0"}, {"a": " 5 ", "b": "-2"}])
    np.testing.assert_array_equal(settings.numbers["a"], [0.001, 5.0])
    np.testing.assert_array_equal(settings.numbers["b"], [0.0, -2.0])


def test_a_setting_that_some_lack_is_no_number() -> None:
    settings = Settings([{"a": "1"}, {"a": "2"}, {}])
    assert settings.numbers == {}
    assert settings.label(2, ["a"]) == "a=default"


def test_groups_come_by_the_size_of_their_numbers() -> None:
    settings = Settings([{"a": text, "b": "x"} for text in ("10", "adam", "9", "0.5", "9")])
    assert settings.groups(["a"]) == {("0.5",): [3], ("9",): [2, 4], ("10",): [0], ("adam",): [1]}


def test_a_key_is_called_by_its_last_part_unless_another_ends_alike() -> None:
    settings = Settings(
        [
            {"data.scale": "1", "model.scale": "1", "optimizer.rate": "1"},
            {"data.scale": "2", "model.scale": "2", "optimizer.rate": "2"},
        ]
    )
    assert settings.label(1, settings.keys) == "data.scale=2, model.scale=2, rate=2"


def test_labels_are_printable_and_short() -> None:
    settings = Settings([{"k" * 300: "\x1b[31m" + "v" * 300, **{f"a{n}": "1" for n in range(40)}}])
    label = settings.label(0, ["k" * 300, *(f"a{n}" for n in range(40))])
    assert label.isprintable()
    assert len(label) <= 64


def test_names_of_files_are_safe_and_no_two_alike() -> None:
    keys = ["m.rate", "n.Rate", "o.r ate", "o.r/ate", "日本", "../..", "", "x" * 400, "+p.q@r"]
    settings = Settings([dict.fromkeys(keys, "1"), dict.fromkeys(keys, "2")])
    names = settings.file_names()
    assert list(names) == keys
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name) for name in names.values())
    assert len({name.lower() for name in names.values()}) == len(keys)
    assert names["m.rate"] == "rate"
