import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from runner.figures.sweep import SweptSettings, draw_sweep
from runner.training.outcome import Outcome
from runner.training.statistics import Configuration, configurations, ranked
from tests.runner.figures.pictures import assert_whole

NAN, INF = float("nan"), float("inf")
TABLE = "metric_by_rate_and_momentum.png"


def tried(varied: dict[str, str], *losses: float) -> Configuration:
    runs = [
        Outcome("a", "1", "FINISHED", {**varied, "seed": str(n)}, {"val/loss": loss}, None, 1.0)
        for n, loss in enumerate(losses)
    ]
    return configurations(runs)[0] if runs else Configuration(varied, (), ())


def grid(**values: Sequence[object]) -> list[Configuration]:
    rows = itertools.product(*values.values())
    return [
        tried({key: str(value) for key, value in zip(values, row, strict=True)}, n / 10, n / 11)
        for n, row in enumerate(rows, start=1)
    ]


def names(tries: Sequence[Configuration], folder: Path, histories: object = None) -> set[str]:
    draw_sweep(ranked(tries, "val/loss"), "val/loss", histories or {}, folder, "a sweep")
    for path in folder.iterdir():
        assert_whole(path)
    return {path.name for path in folder.iterdir()}


RANDOM = [{"a": str(a), "b": str(b)} for a, b in np.random.default_rng(0).uniform(size=(30, 2))]


@pytest.mark.parametrize(
    ("tries", "figures"),
    [
        ([], []),
        ([tried({"a": "1"}, NAN), tried({"a": "2"})], []),
        ([tried({"a.rate": str(r)}, r, 2 * r) for r in (0.1, 0.2, 0.3)], ["metric_by_rate.png"]),
        (grid(rate=[1, 2, 3], optimizer=["sgd", "adam"]), ["metric_by_rate.png"]),
        (grid(rate=[1, 2], optimizer=list("abcdefg")), ["metric_by_rate.png"]),
        (grid(rate=[1, 2], momentum=[0, 0.9], decay=[0, 1]),
         ["metric_by_rate.png", "metric_by_momentum.png", "metric_by_decay.png", TABLE]),
        ([tried(row, 1.0) for row in RANDOM], ["metric_by_a.png", "metric_by_b.png"]),
        ([tried({"a": str(n)}, n, n + 9.0) for n in range(61)], ["metric_by_a.png"]),
        (grid(optimizer=["sgd", "adam"], sizes=["[8]", "[8,8]"]), []),
        ([tried({"a": rate}, 0.5) for rate in ("0.1", "1e200", "1e-300")], []),
    ],
)  # fmt: skip
def test_numbers_are_drawn_and_words_have_no_axis(
    tries: list[Configuration], figures: list[str], tmp_path: Path
) -> None:
    assert names(tries, tmp_path / "new") == {*figures}


def test_a_number_that_no_axis_can_hold_costs_only_its_own_point(tmp_path: Path) -> None:
    ordinary, more = (
        grid(rate=[0.1, 1], momentum=[0, 0.9]),
        grid(rate=[0.1, 1, "1e300"], momentum=[0, 0.9]),
    )
    assert names(more, tmp_path / "more") == names(ordinary, tmp_path / "ordinary")
    assert (tmp_path / "more" / TABLE).read_bytes() == (tmp_path / "ordinary" / TABLE).read_bytes()


def test_values_that_are_missing_or_not_finite_are_no_obstacle(tmp_path: Path) -> None:
    losses: list[list[float]] = [[0.3], [NAN], [INF, 1.0], [], [1e308, 1e308], [0.0, 0.0]]
    tries = [tried({"a": str(n % 3), "b": str(n // 3)}, *row) for n, row in enumerate(losses)]
    assert len(names(tries, tmp_path, {0: [[(1, 0.3)]], 1: [[]], 5: []})) == 4


def test_hostile_names_stay_inside_the_folder_and_on_the_page(tmp_path: Path) -> None:
    keys = ["../../x", "\x1b[31m$x$", "k" * 300]
    tries = [tried(dict.fromkeys(keys, str(n)), n / 3) for n in (1, 2, 3)]
    curves = {n: [[(1, 0.5), (2, 0.4)]] for n in range(3)}
    draw_sweep(tries, "val/loss", curves, tmp_path / "in", "a\x1b[31m$title$" * 50)
    drawn = [*tmp_path.rglob("*.png")]
    assert {path.parent for path in drawn} == {tmp_path / "in"}
    assert len(drawn) == len(keys) + 1  # they change together: no table
    for path in drawn:
        assert_whole(path)


def test_equal_sweeps_give_equal_files(tmp_path: Path) -> None:
    tries, curves = grid(rate=[1, 2, 3], momentum=[0, 0.9]), {0: [[(1, 1.0), (2, 0.5)]]}
    drawn = names(tries, tmp_path / "one", curves)
    assert names(tries, tmp_path / "two", curves) == drawn
    assert "learning_curves.png" in drawn
    for name in drawn:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "values", [["0.1", "none"], ["0.1", "nan"], ["0.1", "1e-1"], ["0.1", "1e300"], ["true", "x"]],
)  # fmt: skip
def test_settings_that_are_not_two_finite_numbers_are_words(values: list[str]) -> None:
    assert SweptSettings([{"a": value} for value in values]).numbers == {}


def test_settings_leave_out_the_seed_and_what_does_not_vary() -> None:
    rows = [{"a.x": "1e-3", "b": "2", "seed": "0"}, {"a.x": " 5 ", "b": "2", "seed": "1"}, {}]
    assert SweptSettings(rows[:2]).keys == ["a.x"]
    np.testing.assert_array_equal(SweptSettings(rows[:2]).numbers["a.x"], [0.001, 5.0])
    assert SweptSettings(rows).numbers == {}
    assert SweptSettings([*rows[:2], {}]).labels([0, 2], ["a.x"]) == ["x=1e-3", "x=default"]


def test_groups_come_by_the_size_of_their_numbers() -> None:
    settings = SweptSettings([{"a": text, "b": "x"} for text in ("10", "adam", "9", "0.5", "9")])
    groups = settings.groups(["a"], np.array([True] * 5))
    assert [group.tolist() for group in groups] == [[3], [2, 4], [0], [1]]


def test_a_key_is_called_by_its_last_part_unless_another_ends_alike() -> None:
    rows = [dict.fromkeys(["data.scale", "model.scale", "optimizer.rate"], n) for n in "12"]
    settings = SweptSettings(rows)
    assert settings.labels([0, 1], settings.keys)[1] == "data.scale=2, model.scale=2, rate=2"


def test_labels_of_a_legend_tell_configurations_apart_on_short_lines() -> None:
    rows = [
        {"model.hidden_layer_sizes": "[16,16]", "model.activation": a, "rate": "0.1", "size": s}
        for a, s in (("tanh", "8"), ("relu", "8"), ("relu", "16"))
    ]
    settings = SweptSettings([*rows, {**rows[0], "model.hidden_layer_sizes": "[8]"}])
    assert settings.labels([0, 1, 2], settings.keys) == [
        "activation=tanh, size=8",
        "activation=relu, size=8",
        "activation=relu, size=16",
    ]
    assert settings.labels([2, 3], settings.keys)[0] == (
        "hidden_layer_sizes=[16,16],\nactivation=relu, size=16"
    )
    key, value = "k" * 300, "\x1b[31m" + "v" * 300
    long, _ = SweptSettings([{key: value, "b": "1"}, {}]).labels([0, 1], [key, "b"])
    assert all(line.isprintable() and len(line) <= 64 for line in long.splitlines())


def test_names_of_files_are_safe_and_no_two_alike() -> None:
    keys = ["m.rate", "n.Rate", "o.r ate", "o.r/ate", "日本", "../..", "", "x" * 400, "+p.q@r"]
    words = SweptSettings([dict.fromkeys(keys, "1"), dict.fromkeys(keys, "2")]).file_names()
    assert list(words) == keys
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,63}", word) for word in words.values())
    assert len({word.lower() for word in words.values()}) == len(keys)
    assert words["m.rate"] == "rate"
