import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from runner.figures.style import PALETTE
from runner.figures.sweep import draw_sweep
from runner.training.outcome import Outcome
from runner.training.statistics import Configuration, configurations, ranked
from tests.runner.figures.pixels import near, pixels, solid

NAN, INF = float("nan"), float("inf")
COLORS = [to_rgb(color) for color in PALETTE]


def tried(varied: dict[str, str], *losses: float) -> Configuration:
    runs = [
        Outcome(
            "a run", "1", "FINISHED", {**varied, "seed": str(seed)}, {"val/loss": loss}, None, 1
        )
        for seed, loss in enumerate(losses)
    ]
    if not losses:
        return Configuration(varied, (), ())
    (configuration,) = configurations(runs)
    return configuration


def names(found: Sequence[Configuration], folder: Path, histories: object = None) -> list[str]:
    drawn = draw_sweep(ranked(found, "val/loss"), "val/loss", histories or {}, folder, "a sweep")
    assert sorted(drawn) == sorted(folder.iterdir())
    return [path.name for path in drawn]


def n_lines(path: Path) -> int:
    picture = pixels(path)
    return sum(near(picture, color).sum() > 100 for color in COLORS[:6])


def n_faint(path: Path) -> int:
    return int(solid(near(pixels(path), to_rgb("#B8B8B8"))).sum())


def grid(**values: Sequence[object]) -> list[Configuration]:
    combinations = itertools.product(*values.values())
    return [
        tried({key: str(value) for key, value in zip(values, each, strict=True)}, n / 10, n / 11)
        for n, each in enumerate(combinations, start=1)
    ]


def test_one_number_is_drawn_as_one_line(tmp_path: Path) -> None:
    found = [tried({"optimizer.learning_rate": str(rate)}, rate) for rate in (0.1, 0.2, 0.3)]
    assert names(found, tmp_path / "new") == ["metric_by_learning_rate.png"]
    assert n_lines(tmp_path / "new/metric_by_learning_rate.png") == 1


def test_few_combinations_of_the_others_have_a_line_each(tmp_path: Path) -> None:
    assert names(grid(rate=[1, 2, 3], optimizer=["sgd", "adam", "rmsprop"]), tmp_path) == [
        "metric_by_rate.png"
    ]
    assert n_lines(tmp_path / "metric_by_rate.png") == 3
    assert n_faint(tmp_path / "metric_by_rate.png") == 0


def test_of_many_combinations_the_best_are_joined_and_all_are_faint(tmp_path: Path) -> None:
    names(grid(rate=[1, 2, 3], optimizer=list("abcdefg")), tmp_path)
    assert n_lines(tmp_path / "metric_by_rate.png") == 1
    assert n_faint(tmp_path / "metric_by_rate.png") > 100


def test_two_numbers_make_a_table_too(tmp_path: Path) -> None:
    assert names(grid(rate=[1, 2, 3], momentum=[0, 0.9]), tmp_path) == [
        "metric_by_rate.png",
        "metric_by_momentum.png",
        "metric_by_rate_and_momentum.png",
    ]


def test_of_three_numbers_the_first_two_make_the_table(tmp_path: Path) -> None:
    drawn = names(grid(rate=[1, 2], momentum=[0, 0.9], decay=[0, 1]), tmp_path)
    assert drawn[-1] == "metric_by_rate_and_momentum.png"
    assert len(drawn) == 4


def test_a_number_that_no_axis_can_have_costs_only_its_own_point(tmp_path: Path) -> None:
    rates, momenta = [0.1, 1, "1e300"], [0, 0.9]
    ordinary = grid(rate=rates[:2], momentum=momenta)
    found = grid(rate=rates, momentum=momenta)
    assert (
        names(found, tmp_path / "all")
        == names(ordinary, tmp_path / "ordinary")
        == [
            "metric_by_rate.png",
            "metric_by_momentum.png",
            "metric_by_rate_and_momentum.png",
        ]
    )
    table = "metric_by_rate_and_momentum.png"
    assert (tmp_path / "all" / table).read_bytes() == (tmp_path / "ordinary" / table).read_bytes()


def test_one_number_among_others_that_no_axis_can_have_is_not_drawn(tmp_path: Path) -> None:
    found = [tried({"rate": rate}, 0.5) for rate in ("0.1", "1e200", "1e-300")]
    assert names(found, tmp_path) == []


def test_a_random_search_has_points_but_no_lines_and_no_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = [tried({"a": str(a), "b": str(b)}, a + b) for a, b in rng.uniform(size=(30, 2))]
    assert names(found, tmp_path) == ["metric_by_a.png", "metric_by_b.png"]
    joined = grid(a=range(10), b=range(3))
    names(joined, tmp_path / "joined")
    points, line = (pixels(tmp_path / p / "metric_by_a.png") for p in ("", "joined"))
    assert near(points, COLORS[0]).sum() < near(line, COLORS[0]).sum()


def test_so_many_bars_that_they_would_hide_the_points_are_left_out(tmp_path: Path) -> None:
    few, many = ([tried({"a": str(n)}, n, n + 9.0) for n in range(k)] for k in (60, 61))
    counts = []
    for found in (few, many):
        names(found, tmp_path)
        counts.append(near(pixels(tmp_path / "metric_by_a.png"), COLORS[0]).sum())
    assert counts[0] > 3 * counts[1]


def test_words_have_no_axis(tmp_path: Path) -> None:
    assert names(grid(optimizer=["sgd", "adam"], sizes=["[8]", "[8,8]"]), tmp_path) == []


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert names([], tmp_path) == []
    assert names([tried({"a": "1"}, 1.0)], tmp_path) == []
    assert names([tried({"a": "1"}, NAN), tried({"a": "2"})], tmp_path, {0: [[(1, NAN)]]}) == []


def test_values_that_are_missing_or_not_finite_are_no_obstacle(tmp_path: Path) -> None:
    losses: list[list[float]] = [[0.3], [NAN], [INF, 1.0], [], [1e308, 1e308], [0.0, 0.0]]
    found = [tried({"a": str(n % 3), "b": str(n // 3)}, *each) for n, each in enumerate(losses)]
    assert len(names(found, tmp_path, {0: [[(1, 0.3)]], 1: [[]], 5: []})) == 4


def test_the_best_five_curves_are_drawn(tmp_path: Path) -> None:
    found = grid(rate=range(1, 8))
    curves = {n: [[(step, 1.0 + n) for step in range(50)]] for n in reversed(range(7))}
    assert names(found, tmp_path, curves)[-1] == "learning_curves.png"
    assert n_lines(tmp_path / "learning_curves.png") == 5


@pytest.mark.parametrize(("n_seeds", "half"), [(4, 1.0), (16, 0.55)])
def test_the_band_is_the_range_of_few_seeds_and_the_interval_of_many(
    n_seeds: int, half: float, tmp_path: Path
) -> None:
    # Half of the seeds at 9, half at 11: of 16, t(15) s / sqrt(n) = 2.131 * 1.033 / 4 = 0.55.
    curves = [[(step, 9.0 + 2 * (n % 2)) for step in range(50)] for n in range(n_seeds)]
    fixed = [[(step, 12.0) for step in range(50)]] * n_seeds
    names(grid(rate=[1, 2]), tmp_path, {0: curves, 1: fixed})
    picture = pixels(tmp_path / "learning_curves.png")[:, :850]
    rows, _ = np.nonzero(near(picture, tuple(1 - 0.18 * (1 - c) for c in COLORS[0])))
    mean, other = (np.median(np.nonzero(near(picture, COLORS[n]))[0]) for n in (0, 1))
    assert np.ptp(rows) / 2 == pytest.approx(half * (mean - other) / 2, rel=0.05)


def test_hostile_names_stay_inside_the_folder_and_on_the_page(tmp_path: Path) -> None:
    keys = ["../../x", "a.b/c", "\x1b[31m$x$", "日本", "k" * 300]
    found = [tried(dict.fromkeys(keys, str(n)), n / 3) for n in (1, 2, 3)]
    curves = {n: [[(1, 0.5), (2, 0.4)]] for n in range(3)}
    drawn = draw_sweep(found, "val/loss", curves, tmp_path / "in", "a\x1b[31m$title$" * 50)
    assert len(drawn) == len(keys) + 1  # they go hand in hand: no table
    assert {path.parent for path in drawn} == {tmp_path / "in"}
    assert sorted(drawn) == sorted((tmp_path / "in").iterdir())
    assert all(max(pixels(path).shape) < 2_000 for path in drawn)


def test_equal_sweeps_give_equal_files(tmp_path: Path) -> None:
    found, curves = grid(rate=[1, 2, 3], momentum=[0, 0.9]), {0: [[(1, 1.0), (2, 0.5)]]}
    drawn = names(found, tmp_path / "one", curves)
    assert names(found, tmp_path / "two", curves) == drawn
    for name in drawn:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
