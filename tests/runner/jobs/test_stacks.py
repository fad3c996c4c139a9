"""Stacks: who trains with whom, how large they get, and that nobody is left out."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobs.plan import Plan, PlannedJob, Shape
from runner.jobs.stacks import runs_per_stack, stacks
from softnet import StackSettings, mlp
from tests.runner.jobs.planned import MISSING, STOPPING, experiment, plan

TINY = StackSettings(mlp([4, 2]), n_steps=4000, batch_size=4, evaluate_every=100)
MIDDLING = StackSettings(mlp([64, 64, 32, 10]), n_steps=100, batch_size=32, evaluate_every=100)
BIG = StackSettings(mlp([784, 256, 128, 10]), n_steps=100, batch_size=32, evaluate_every=100)


def stack_sizes(*changes: dict[str, object]) -> list[int]:
    made = plan(*changes)
    return sorted(len(stack) for stack in stacks(made, range(len(made.jobs)), 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"optimizer__learning_rate": 0.25},
        {"optimizer__momentum": 0.9},
        {"optimizer__weight_decay": 0.01},
        {"optimizer__clip_norm": 1.0},
        {"schedule": {"name": "cosine", "warmup_steps": 7}},
        {"schedule": {"name": "step", "every": 20, "factor": 0.5}},
        {"model__initializer": "xavier"},
        {"model__initializer_scale": 0.5},
        {"training__early_stopping": STOPPING},
        {"name": "another"},
    ],
    ids=str,
)
def test_what_a_run_has_for_itself_keeps_it_in_the_stack(changes: dict[str, object]) -> None:
    # A point that differs in its name alone is the same point: it needs a seed of its own.
    assert stack_sizes({}, {**changes, "seed": 1}) == [2]


@pytest.mark.parametrize(
    "changes",
    [
        {"model__hidden_layer_sizes": [6]},
        {"model__hidden_layer_sizes": []},
        {"model__activation": "relu"},
        {"data__seed": 1},
        {"data__scaling": "none"},
        {"split__seed": 1},
        {"split__train": 39},
        {"dtype": "float32"},
        {"training__batch_size": 8},
        {"training__steps": 61},
        {"training__evaluate_every": 6},
        {"training__sampling": "with_replacement"},
        {"optimizer": {"name": "adam", "learning_rate": 0.01}},
    ],
    ids=str,
)
def test_what_a_stack_has_in_common_keeps_others_apart(changes: dict[str, object]) -> None:
    assert stack_sizes({}, changes) == [1, 1]


def test_two_patiences_train_together() -> None:
    longer = {**STOPPING, "patience": 9}
    assert stack_sizes(
        {"training__early_stopping": STOPPING}, {"training__early_stopping": longer}
    ) == [2]


def test_rates_of_dropout_train_together_and_apart_from_none() -> None:
    rates = [{"model__dropout": rate} for rate in (0.0, 0.1, 0.3)]
    assert stack_sizes(*rates) == [1, 2]


def test_epochs_and_the_same_number_of_steps_train_together() -> None:
    # 40 rows in batches of 7 are 6 steps an epoch.
    epochs = {"epochs": 10, "batch_size": 7, "evaluate_every": 1}
    assert stack_sizes({"training__evaluate_every": 6}, {"training": epochs, "seed": 1}) == [2]


def a_plan(**n_jobs: int) -> Plan:
    """Plan jobs of which only the shape matters: so many for each name of a shape above."""
    jobs: list[PlannedJob] = []
    for name, number in n_jobs.items():
        shape = Shape("data", globals()[name])
        jobs += [PlannedJob(experiment(), name, {}, "", "", "", shape)] * number
    return Plan(tuple(jobs))


@given(
    n_tiny=st.integers(0, 300),
    n_big=st.integers(0, 30),
    n_workers=st.integers(1, 9),
    data=st.data(),
)
def test_every_position_is_in_one_stack_of_its_shape(
    n_tiny: int, n_big: int, n_workers: int, data: st.DataObject
) -> None:
    made = a_plan(TINY=n_tiny, BIG=n_big)
    everyone = list(range(n_tiny + n_big))
    wanted = data.draw(st.lists(st.sampled_from(everyone), unique=True)) if everyone else []
    for positions in (everyone, wanted):
        found = stacks(made, positions, n_workers)
        assert sorted(p for stack in found for p in stack) == sorted(positions)
        for stack in found:
            (shape,) = {made.jobs[p].shape for p in stack}
            assert shape is not None
            assert 1 <= len(stack) <= runs_per_stack(shape.settings)


@given(n_jobs=st.integers(1, 3000), n_workers=st.integers(1, 9))
def test_cuts_are_even(n_jobs: int, n_workers: int) -> None:
    sizes = [len(stack) for stack in stacks(a_plan(TINY=n_jobs), range(n_jobs), n_workers)]
    assert max(sizes) - min(sizes) <= 1


def test_a_hundred_and_one_runs_have_none_that_trains_alone() -> None:
    sizes = [len(stack) for stack in stacks(a_plan(TINY=101), range(101), 1)]
    assert sorted(sizes) == [16, 17, 17, 17, 17, 17]


def test_every_worker_gets_something() -> None:
    for n_workers in (1, 2, 4, 8):
        assert len(stacks(a_plan(TINY=16), range(16), n_workers)) >= n_workers


def test_the_largest_amount_of_work_comes_first() -> None:
    long = replace(MIDDLING, n_steps=1000)
    jobs = [PlannedJob(experiment(), "", {}, "", "", "", Shape("d", s)) for s in (MIDDLING, long)]
    assert stacks(Plan(tuple(jobs)), (0, 1), 1) == [(1,), (0,)]


def test_big_networks_train_in_few_and_tiny_ones_in_hundreds() -> None:
    assert runs_per_stack(BIG) <= 2
    assert 8 <= runs_per_stack(MIDDLING) <= 64
    assert runs_per_stack(TINY) >= 200


@pytest.mark.parametrize(
    "larger",
    [{"network": mlp([64, 128, 32, 10])}, {"batch_size": 512}, {"dtype": "float64"}],
    ids=str,
)
def test_what_takes_more_of_the_cache_trains_in_fewer(larger: dict[str, Any]) -> None:
    single = replace(MIDDLING, dtype="float32")
    assert runs_per_stack(replace(single, **larger)) < runs_per_stack(single)


def test_a_network_larger_than_the_cache_trains_alone() -> None:
    assert runs_per_stack(replace(BIG, network=mlp([10**6, 10]))) == 1


def test_a_job_that_cannot_run_is_in_no_stack() -> None:
    made = plan({}, {"data": MISSING})
    assert stacks(made, [0], 2) == [(0,)]
    with pytest.raises(ValueError, match="job 1 has no shape"):
        stacks(made, [0, 1], 2)


def test_no_jobs_are_no_stacks() -> None:
    assert stacks(plan({}), [], 2) == []
