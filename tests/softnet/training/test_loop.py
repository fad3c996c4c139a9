"""What a training does, step by step, and which records it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from softnet import (
    SAMPLINGS,
    SGD,
    Constant,
    Examples,
    Network,
    Record,
    RunSettings,
    Schedule,
    StackSettings,
    Step,
    Training,
    Xavier,
    Zeros,
    evaluate,
    mlp,
    one_hot,
    stream,
)
from softnet.training.loop import STEPS_PER_CHUNK

Learnable = Callable[..., Examples]
Tell = Callable[[Training, Iterable[Record]], "list[Story]"]

PAIR = Examples(np.array([[0.0], [1.0]]), np.array([0, 1]))


def zeros(
    learning_rate: float = 1.0, seed: int = 0, schedule: Schedule | None = None
) -> RunSettings:
    settings = SGD.Settings(learning_rate)
    return RunSettings(seed, settings, schedule or Constant(), initializer=Zeros())


def test_the_first_step_equals_the_one_worked_by_hand() -> None:
    # From zero all probabilities are 1/2. Rows X = 0 of class 0 and X = 1 of class 1:
    # G = | -1/2  1/2 | / 2, d_weight = X.T @ G = (1/4, -1/4), d_bias = sum of the rows = (0, 0).
    #     |  1/2 -1/2 |
    # At rate 1 the weight becomes (-1/4, 1/4). Logits are 0, 0 for the first row, -1/4, 1/4 for
    # the second: losses ln 2 and ln(1 + exp(-1/2)).
    settings = StackSettings(mlp((1, 2)), n_steps=1, batch_size=2, evaluate_every=1)
    training = Training(settings, [zeros()], {"train": PAIR})
    (record,) = training
    assert training.values.tolist() == [[-0.25, 0.25, 0.0, 0.0]]
    by_hand = (math.log(2) + math.log(1 + math.exp(-0.5))) / 2
    assert record.metrics["train/loss"].tolist() == pytest.approx([by_hand], rel=1e-15)
    # The first row is a tie, which goes to class 0: both are right.
    assert record.metrics["train/accuracy"].tolist() == [1.0]


def test_the_schedule_multiplies_each_steps_rate() -> None:
    # Without rows that tell anything apart only the bias moves, by rate * (p - 1).
    rows = Examples(np.zeros((2, 1)), np.array([0, 0]))
    settings = StackSettings(mlp((1, 2)), n_steps=3, batch_size=2, evaluate_every=3)
    training = Training(settings, [zeros(schedule=Step(1, 0.5))], {"train": rows})
    list(training)
    difference = 0.0
    for rate in (1.0, 0.5, 0.25):
        # Of two logits whose difference is d, class 0 has 1 / (1 + exp(-d)); both biases move.
        difference += 2 * rate * (1 - 1 / (1 + math.exp(-difference)))
    bias = training.trained_network().parameters["layers.0.bias"][0]
    assert bias[0] - bias[1] == pytest.approx(difference, rel=1e-14)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_training_is_the_loop_that_one_would_write(sampling: str, learnable: Learnable) -> None:
    # The parts put together by hand, one run: weights, batches, gradient, step.
    sizes, n_steps, batch_size, rate = (4, 5, 3), 20, 4, 0.2
    rows = learnable(sizes, 11)
    network = Network(mlp(sizes, "tanh"))
    network.initialize([stream(7, "init")], [Xavier(0.5)])
    batches = SAMPLINGS[sampling](11, batch_size, [stream(7, "batches")])
    for indices in batches.draw(n_steps):
        targets = one_hot(rows.y[indices], 3, network.dtype)
        network.backward(network.loss.gradient(network.forward(rows.X[indices]), targets))
        network.parameters.values -= rate * network.parameters.gradients
    settings = StackSettings(mlp(sizes, "tanh"), n_steps, batch_size, 5, sampling=sampling)
    run = RunSettings(7, SGD.Settings(rate), initializer=Xavier(0.5))
    training = Training(settings, [run], {"train": rows})
    list(training)
    # The same formulas; a batch laid out differently in memory may round differently.
    np.testing.assert_allclose(training.values, network.parameters.values, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("n_steps", "every", "evaluated"),
    [
        (10, 5, [5, 10]),
        (10, 4, [4, 8, 10]),
        (10, 100, [10]),
        (3, 1, [1, 2, 3]),
        (600, 600, [600]),
        (600, 300, [300, 600]),
    ],
)
def test_evaluations_come_at_multiples_and_after_the_last_step(
    n_steps: int, every: int, evaluated: list[int]
) -> None:
    settings = StackSettings(mlp((1, 2)), n_steps, batch_size=2, evaluate_every=every)
    records = list(Training(settings, [zeros()], {"train": PAIR}))
    assert [record.step for record in records if record.metrics] == evaluated
    steps = [0, *(record.step for record in records)]
    gaps = [after - before for before, after in pairwise(steps)]
    assert max(gaps) <= STEPS_PER_CHUNK


def test_metrics_carry_the_names_of_the_splits() -> None:
    settings = StackSettings(mlp((1, 2)), n_steps=2, batch_size=2, evaluate_every=2)
    (record,) = Training(settings, [zeros(), zeros(seed=1)], {"train": PAIR, "val": PAIR})
    assert list(record.metrics) == ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]
    assert record.metrics["val/loss"].tolist() == record.metrics["train/loss"].tolist()
    assert record.runs.tolist() == [0, 1]


def test_when_one_evaluates_does_not_change_the_weights(learnable: Learnable) -> None:
    values = []
    for every in (1, 7, 300):
        settings = StackSettings(mlp((4, 5, 3)), n_steps=300, batch_size=4, evaluate_every=every)
        training = Training(settings, [zeros(0.1)], {"train": learnable((4, 5, 3), 11)})
        list(training)
        values.append(training.values.tobytes())
    assert len(set(values)) == 1


def test_final_weights_give_the_last_metrics_again(learnable: Learnable) -> None:
    rows = learnable((4, 5, 3), 30)
    settings = StackSettings(mlp((4, 5, 3)), n_steps=60, batch_size=8, evaluate_every=20)
    runs = [RunSettings(seed, SGD.Settings(0.3)) for seed in range(3)]
    training = Training(settings, runs, {"train": rows})
    last = list(training)[-1]
    again = evaluate(training.trained_network(), rows.X, rows.y)
    assert again["loss"].tobytes() == last.metrics["train/loss"].tobytes()
    assert again["accuracy"].tobytes() == last.metrics["train/accuracy"].tobytes()


def test_training_lowers_the_loss(learnable: Learnable) -> None:
    rows = learnable((4, 8, 3), 60)
    settings = StackSettings(mlp((4, 8, 3)), n_steps=400, batch_size=10, evaluate_every=100)
    training = Training(settings, [RunSettings(0, SGD.Settings(0.3))], {"train": rows})
    records = [record.metrics for record in training if record.metrics]
    # A network that has learned nothing loses ln 3 on three classes.
    assert records[-1]["train/loss"][0] < 0.2 * math.log(3)
    assert records[-1]["train/accuracy"][0] > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_stays_in_the_chosen_type(dtype: str, learnable: Learnable) -> None:
    settings = StackSettings(mlp((4, 5, 3)), 10, batch_size=4, evaluate_every=5, dtype=dtype)
    run = RunSettings(0, SGD.Settings(0.1, momentum=0.9, weight_decay=0.1, clip_norm=1.0))
    training = Training(settings, [run], {"train": learnable((4, 5, 3), 11)})
    metrics = [record.metrics for record in training]
    arrays = [
        training.values,
        training.network.parameters.values,
        training.network.parameters.gradients,
        training.trained_network().parameters.values,
        *training.optimizer.state.values(),
    ]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert {of.dtype for values in metrics for of in values.values()} == {np.dtype("float64")}


def test_data_is_left_as_it_was(learnable: Learnable) -> None:
    rows = learnable((4, 5, 3), 11)
    before = rows.X.tobytes(), rows.y.tobytes()
    settings = StackSettings(mlp((4, 5, 3)), 10, batch_size=4, evaluate_every=5)
    list(Training(settings, [RunSettings(0, SGD.Settings(0.1))], {"train": rows}))
    assert (rows.X.tobytes(), rows.y.tobytes()) == before


def test_the_same_seed_gives_the_same_run_and_another_one_another(
    learnable: Learnable, stories: Tell
) -> None:
    settings = StackSettings(mlp((4, 5, 3)), 10, batch_size=4, evaluate_every=5)
    told = []
    for seed in (0, 0, 1):
        training = Training(
            settings, [RunSettings(seed, SGD.Settings(0.1))], {"train": learnable((4, 5, 3), 11)}
        )
        told.append(stories(training, training)[0])
    assert told[0] == told[1]
    assert told[0].values != told[2].values


def test_training_rows_are_required(learnable: Learnable) -> None:
    settings = StackSettings(mlp((4, 5, 3)), 10, batch_size=4, evaluate_every=5)
    with pytest.raises(KeyError, match="train"):
        Training(settings, [RunSettings(0, SGD.Settings(0.1))], {"val": learnable((4, 5, 3), 11)})


if TYPE_CHECKING:
    from tests.softnet.conftest import Story
