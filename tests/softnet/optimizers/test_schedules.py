"""Which share of the learning rate a step takes."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from softnet import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    LinearDecay,
    Schedule,
    Step,
)


def factors(schedule: Schedule, n_steps: int) -> list[float]:
    return [schedule(step, n_steps) for step in range(n_steps)]


def test_constant_is_one_throughout() -> None:
    assert factors(Constant(), 3) == [1.0, 1.0, 1.0]


def test_warm_up_rises_in_equal_parts_to_the_full_rate() -> None:
    # The first of four warm-up steps takes a quarter, not nothing; the fourth is full already.
    assert factors(Constant(warmup_steps=4), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_step_multiplies_after_every_so_many_steps() -> None:
    assert factors(Step(every=2, factor=0.5), 7) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_step_counts_its_drops_from_the_start_of_the_warm_up() -> None:
    # Warm-up 1/4, 2/4, 3/4, 1, ... times 1, 1, 1/2, 1/2, 1/4.
    assert factors(Step(every=2, factor=0.5, warmup_steps=4), 5) == [0.25, 0.5, 0.375, 0.5, 0.25]


def test_cosine_falls_along_half_a_wave() -> None:
    # (1 + cos(pi * t / 4)) / 2 for t = 0, 1, 2, 3: 1, (2 + sqrt 2) / 4, 1/2, (2 - sqrt 2) / 4.
    root = math.sqrt(2)
    by_hand = [1.0, (2 + root) / 4, 0.5, (2 - root) / 4]
    assert factors(Cosine(), 4) == pytest.approx(by_hand, abs=1e-15)


def test_cosine_falls_to_its_final_factor_after_the_warm_up() -> None:
    # Two warm-up steps, then a wave over the other four from 1 to 0.2: 0.2 + 0.8 * the above.
    root = math.sqrt(2)
    wave = [1.0, 0.2 + 0.8 * (2 + root) / 4, 0.6, 0.2 + 0.8 * (2 - root) / 4]
    schedule = Cosine(final_factor=0.2, warmup_steps=2)
    assert factors(schedule, 6) == pytest.approx([0.5, 1.0, *wave], abs=1e-15)
    assert schedule(6, 6) == pytest.approx(0.2, abs=1e-15)


def test_linear_falls_in_a_line_after_the_warm_up() -> None:
    schedule = LinearDecay(final_factor=0.5, warmup_steps=2)
    assert factors(schedule, 6) == [0.5, 1.0, 1.0, 0.875, 0.75, 0.625]


def test_exponential_falls_by_the_same_factor_each_step() -> None:
    schedule = ExponentialDecay(final_factor=1 / 16, warmup_steps=1)
    assert factors(schedule, 5) == [1.0, 1.0, 0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    "schedule",
    [LinearDecay(), ExponentialDecay(), Cosine(), Cosine(0.3), Step(5, 0.5), Step(1, 0.99)],
    ids=str,
)
def test_without_warm_up_the_factor_never_rises_nor_leaves_zero_to_one(schedule: Schedule) -> None:
    values = factors(schedule, 50)
    assert values[0] == 1.0
    assert all(0 < value <= 1 for value in values)
    assert all(before >= after for before, after in pairwise(values))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_longer_than_the_training_only_rises(name: str) -> None:
    values = factors(SCHEDULES[name](warmup_steps=100), 10)
    assert all(before < after for before, after in pairwise(values))
    assert values[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_factor_is_a_python_float(name: str) -> None:
    # Arrays round powers and cosines differently: the bits of a stack rest on this.
    assert {type(value) for value in factors(SCHEDULES[name](), 5)} == {float}


def test_a_factor_that_outgrows_floats_is_infinite_and_one_that_vanishes_is_zero() -> None:
    assert Step(every=1, factor=10.0)(400, 401) == math.inf
    assert Step(every=1, factor=0.1)(400, 401) == 0.0


def test_equal_schedules_are_one_to_a_training() -> None:
    assert Cosine(0.1, warmup_steps=5) == Cosine(0.1, warmup_steps=5)
    assert (
        len({Cosine(0.1, warmup_steps=5), Cosine(0.1, warmup_steps=5), Cosine(0.1, warmup_steps=6)})
        == 2
    )
