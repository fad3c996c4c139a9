"""When a run stops, which weights it keeps, and what becomes of a run that fails."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from softnet import (
    INITIALIZERS,
    SGD,
    Constant,
    EarlyStopping,
    Examples,
    RunSettings,
    Schedule,
    SettingError,
    StackSettings,
    Step,
    Training,
    Zeros,
    evaluate,
    higher_is_better,
    mlp,
)

EVERY = 5
N_STEPS = 100
# One feature, two classes. Training says that a positive feature means class 1, validation says
# the contrary: whatever training gains, validation loses from the first step on.
TRAIN = Examples(np.array([[1.0], [-1.0]]), np.array([1, 0]))
OPPOSITE = Examples(TRAIN.X, 1 - TRAIN.y)


def trained(
    rule: EarlyStopping | None,
    val: Examples = OPPOSITE,
    *,
    initializer: str = "zeros",
    schedule: Schedule | None = None,
) -> tuple[Training, list[tuple[int, dict[str, float]]]]:
    """Train one linear run; return it with its evaluations."""
    settings = StackSettings(mlp((1, 2)), N_STEPS, batch_size=2, evaluate_every=EVERY)
    run = RunSettings(
        0, SGD.Settings(0.5), schedule or Constant(), INITIALIZERS[initializer](), rule
    )
    training = Training(settings, [run], {"train": TRAIN, "val": val})
    evaluations = [
        (record.step, {name: float(value[0]) for name, value in record.metrics.items()})
        for record in training
        if record.metrics
    ]
    return training, evaluations


def test_gain_is_the_difference_in_the_better_direction() -> None:
    assert EarlyStopping("val/loss").gain(value=0.75, best=1.0) == 0.25
    assert EarlyStopping("val/accuracy").gain(value=0.75, best=1.0) == -0.25


def test_every_finite_value_improves_on_the_worst() -> None:
    assert EarlyStopping("val/loss").gain(1e300, EarlyStopping("val/loss").worst) == math.inf
    assert EarlyStopping("val/accuracy").gain(0.0, EarlyStopping("val/accuracy").worst) == math.inf


def test_direction_follows_from_the_last_part_of_the_name() -> None:
    assert not higher_is_better("val/loss")
    assert higher_is_better("train/accuracy")
    assert higher_is_better("fold/3/accuracy")


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_counts_evaluations_without_improvement(patience: int) -> None:
    training, evaluations = trained(EarlyStopping("val/loss", patience))
    # The first evaluation is the best; then `patience` worse ones.
    assert [step for step, _ in evaluations] == [EVERY * (n + 1) for n in range(patience + 1)]
    assert training.n_steps.tolist() == [EVERY * (patience + 1)]
    assert training.best_steps.tolist() == [EVERY]
    assert training.stopped_early.tolist() == [True]
    assert training.failures == [None]


def test_an_improvement_starts_the_count_again() -> None:
    # Random starting weights: training first mends them, so validation falls, then rises.
    slow = Examples(np.array([[1.0], [-1.0], [0.1], [-0.1]]), np.array([1, 0, 0, 1]))
    training, evaluations = trained(EarlyStopping("val/loss", 3), slow)
    losses = [metrics["val/loss"] for _, metrics in evaluations]
    best = losses.index(min(losses))
    assert best > 0
    assert len(losses) == best + 1 + 3
    assert training.best_steps.tolist() == [EVERY * (best + 1)]


def test_improvements_of_at_most_min_delta_do_not_count() -> None:
    # Training loss falls at every evaluation, in total from ln 2 to 0: never by as much as ln 2.
    training, evaluations = trained(EarlyStopping("train/loss", 2, min_delta=math.log(2)))
    losses = [metrics["train/loss"] for _, metrics in evaluations]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3
    assert training.best_steps.tolist() == [EVERY]


def test_an_improvement_of_exactly_min_delta_does_not_count() -> None:
    rule = EarlyStopping("val/loss", min_delta=0.25)
    assert not rule.gain(0.75, 1.0) > rule.min_delta
    # Accuracy goes up in steps of a half here: from 1/2 at the start to 1, then nowhere.
    training, _ = trained(EarlyStopping("train/accuracy", 1, min_delta=0.5), TRAIN)
    assert training.n_steps.tolist() == [2 * EVERY]


def test_a_run_that_keeps_improving_is_not_stopped() -> None:
    training, evaluations = trained(EarlyStopping("train/loss", 1))
    assert len(evaluations) == N_STEPS // EVERY
    assert training.stopped_early.tolist() == [False]
    assert training.best_steps.tolist() == [N_STEPS]
    assert training.n_steps.tolist() == [N_STEPS]


def test_a_run_that_would_stop_at_its_last_step_has_not_stopped_early() -> None:
    training, evaluations = trained(EarlyStopping("val/loss", N_STEPS // EVERY - 1))
    assert len(evaluations) == N_STEPS // EVERY
    assert training.stopped_early.tolist() == [False]
    assert training.best_steps.tolist() == [EVERY]


@pytest.mark.parametrize("metric", ["val/loss", "val/accuracy", "train/loss", "train/accuracy"])
def test_the_best_weights_are_restored(metric: str) -> None:
    training, evaluations = trained(EarlyStopping(metric, 4), initializer="normal")
    values = [metrics[metric] for _, metrics in evaluations]
    best = max(values) if metric.endswith("accuracy") else min(values)
    # The first to reach it, for an equal value later is no improvement.
    assert training.best_steps.tolist() == [EVERY * (values.index(best) + 1)]
    name, _, of = metric.partition("/")
    rows = {"train": TRAIN, "val": OPPOSITE}[name]
    again = evaluate(training.trained_network(), rows.X, rows.y)[of]
    assert again.tolist() == [best]


def test_accuracy_and_loss_are_watched_in_their_own_directions() -> None:
    # Validation loses accuracy and gains loss: best at once for both, never the last.
    for metric in ("val/loss", "val/accuracy"):
        training, evaluations = trained(EarlyStopping(metric, 3), initializer="normal")
        values = [metrics[metric] for _, metrics in evaluations]
        assert higher_is_better(metric) == (values[0] >= values[-1])
        assert training.best_steps[0] < training.n_steps[0]


def test_without_early_stopping_the_last_weights_are_kept() -> None:
    training, evaluations = trained(None)
    assert training.best_steps.tolist() == [-1]
    assert training.stopped_early.tolist() == [False]
    again = evaluate(training.trained_network(), TRAIN.X, TRAIN.y)
    assert again["loss"].tolist() == [evaluations[-1][1]["train/loss"]]


# So far out that logits overflow: after step 10 the rate is 5e299.
FAR = Examples(1e20 * TRAIN.X, TRAIN.y)
ESCAPING = Step(every=10, factor=1e300)


def test_a_run_that_diverges_is_given_up_where_its_loss_is_not_finite() -> None:
    training, evaluations = trained(None, FAR, schedule=ESCAPING)
    finite = [math.isfinite(metrics["val/loss"]) for _, metrics in evaluations]
    assert finite == [True, True, False]
    assert training.failures == ["loss is not finite at step 15"]
    assert training.n_steps.tolist() == [15]
    assert training.stopped_early.tolist() == [False]
    assert training.best_steps.tolist() == [-1]


def test_a_run_that_diverges_after_its_best_keeps_its_best_weights() -> None:
    training, evaluations = trained(EarlyStopping("val/loss", 3), FAR, schedule=ESCAPING)
    assert training.failures == ["loss is not finite at step 15"]
    assert training.best_steps.tolist() == [5]
    again = evaluate(training.trained_network(), TRAIN.X, TRAIN.y)
    assert again["loss"].tolist() == [evaluations[0][1]["train/loss"]]


@pytest.fixture
def patient_and_not() -> Callable[[], Training]:
    def make() -> Training:
        settings = StackSettings(mlp((1, 2)), N_STEPS, batch_size=2, evaluate_every=EVERY)
        rules = [EarlyStopping("val/loss", 1), None, EarlyStopping("val/loss", 4)]
        runs = [
            RunSettings(0, SGD.Settings(0.5), initializer=Zeros(), early_stopping=rule)
            for rule in rules
        ]
        return Training(settings, runs, {"train": TRAIN, "val": OPPOSITE})

    return make


def test_runs_of_a_stack_stop_each_at_its_own_time(
    patient_and_not: Callable[[], Training],
) -> None:
    training = patient_and_not()
    present = {record.step: record.runs.tolist() for record in training if record.metrics}
    assert present[5] == present[10] == [0, 1, 2]
    assert present[15] == present[25] == [1, 2]
    assert present[30] == present[100] == [1]
    assert training.n_steps.tolist() == [10, 100, 25]
    assert training.stopped_early.tolist() == [True, False, True]


def test_a_stack_whose_runs_have_all_stopped_trains_no_further() -> None:
    training, evaluations = trained(EarlyStopping("val/loss", 1))
    assert len(evaluations) == 2
    assert training.step == 2 * EVERY
    assert list(training) == []


def test_a_metric_that_is_not_recorded_is_refused_before_training() -> None:
    settings = StackSettings(mlp((1, 2)), 10, batch_size=2, evaluate_every=5)
    run = RunSettings(0, SGD.Settings(0.5), early_stopping=EarlyStopping("val/loss"))
    with pytest.raises(
        SettingError, match=r"^metric: must be one of .*'train/loss'.*, got 'val/loss'"
    ):
        Training(settings, [run], {"train": TRAIN})
