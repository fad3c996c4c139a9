"""From experiments to results: alone, together, and resumed from a file."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from runner.config.schema import Experiment
from runner.system.files import read_state, write_state
from runner.training.prepare import prepare, require_fit
from runner.training.train import Result, StackTraining, train
from softnet import Network
from tests.runner.jobs.planned import CONFIG, STOPPING, experiment


def told(result: Result) -> tuple[object, ...]:
    """All of a result that must not depend on its stack, floats by their bits."""
    history = [(step, {k: v.hex() for k, v in values.items()}) for step, values in result.history]
    final = {name: value.hex() for name, value in result.final.items()}
    return history, final, result.weights_sha256, result.n_steps, result.best_step, result.failure


def a_stack(**common: object) -> list[Experiment]:
    """Make runs of which one stops early and one diverges, and which differ in all they may."""
    return [
        experiment(**common, seed=1),
        experiment(**common, seed=2, training__early_stopping=STOPPING),
        experiment(**common, seed=1, optimizer__learning_rate=1e200),
        experiment(**common, seed=3, optimizer__weight_decay=0.01, optimizer__clip_norm=0.1),
        experiment(**common, seed=4, model__initializer="xavier", schedule={"name": "cosine"}),
    ]


def test_results_alone_equal_those_in_a_stack() -> None:
    experiments = a_stack()
    prepared = prepare(experiments[0])
    stacked = train(prepared, experiments)
    assert [told(r) for r in stacked] == [told(train(prepared, [e])[0]) for e in experiments]
    assert stacked[2].failure is not None
    assert stacked[1].final["best/step"] == stacked[1].best_step


ADAM = {"name": "adam", "learning_rate": 0.05}


@pytest.mark.parametrize("sampling", ["shuffled", "with_replacement"])
@pytest.mark.parametrize("optimizer", [CONFIG["optimizer"], ADAM], ids=["sgd", "adam"])
def test_resumed_from_a_file_at_any_record_equals_uninterrupted(
    optimizer: dict[str, object], sampling: str, tmp_path: Path
) -> None:
    experiments = a_stack(optimizer=optimizer, training__sampling=sampling)
    prepared = prepare(experiments[0])
    whole, files = StackTraining(prepared, experiments), []
    for record in whole:
        files.append(tmp_path / f"{record.step}.npz")
        write_state(files[-1], whole.state())
    expected = whole.results()
    assert len(files) == 60 / 5
    assert expected[1].n_steps < 60
    assert expected[2].failure is not None
    for file in files:
        resumed = StackTraining(prepared, experiments)
        resumed.restore((read_state(file), range(len(experiments))))
        assert resumed.step == int(file.stem)
        list(resumed)
        results = resumed.results()
        assert [told(result) for result in results] == [told(result) for result in expected]


def test_resumed_between_two_evaluations_equals_uninterrupted(tmp_path: Path) -> None:
    # Records without metrics show progress where evaluations are far apart.
    experiments = a_stack(training__steps=600, training__evaluate_every=400)
    prepared = prepare(experiments[0])
    whole = StackTraining(prepared, experiments)
    first = next(iter(whole))
    assert not first.metrics
    write_state(tmp_path / "state.npz", whole.state())
    resumed = StackTraining(prepared, experiments)
    resumed.restore((read_state(tmp_path / "state.npz"), range(len(experiments))))
    assert resumed.step == first.step
    assert 0 < resumed.step == first.step < resumed.n_steps == 600
    list(resumed)
    expected = train(prepared, experiments)
    assert [told(result) for result in resumed.results()] == [told(result) for result in expected]


def test_a_resumed_training_keeps_the_times_of_its_first_part() -> None:
    experiments = [experiment()]
    prepared = prepare(experiments[0])
    whole = StackTraining(prepared, experiments)
    for record in whole:
        if record.step == 30:
            break
    state = whole.state()
    resumed = StackTraining(prepared, experiments)
    assert resumed.started_s > whole.started_s
    resumed.restore((state, [0]))
    list(resumed)
    (result,) = resumed.results()
    assert result.started_s == whole.started_s
    assert list(result.times_s[:6]) == [at_s for _, at_s in whole.records]
    assert all(before <= after for before, after in pairwise(result.times_s))


def test_final_metrics_are_those_of_the_weights_that_were_kept() -> None:
    stopping = {**STOPPING, "patience": 3}
    stopped = experiment(training__early_stopping=stopping, training__steps=2000)
    (result,) = train(prepare(stopped), [stopped])
    best = min(values["val/loss"] for _, values in result.history)
    assert result.n_steps < 2000
    assert result.final["val/loss"] == result.final["best/val/loss"] == best
    assert dict(result.history)[result.best_step or 0]["val/loss"] == best


def test_each_record_is_shown() -> None:
    one = experiment()
    steps = [record.step for record in StackTraining(prepare(one), [one])]
    assert steps == list(range(5, 61, 5))


def test_experiments_of_different_shapes_are_no_stack() -> None:
    experiments = [experiment(), experiment(model__activation="relu")]
    with pytest.raises(ValueError, match="too many values"):
        train(prepare(experiments[0]), experiments)


def test_the_digest_of_weights_sees_one_bit() -> None:
    one = experiment()
    (result,) = train(prepare(one), [one])
    before = result.weights_sha256
    weight = result.weights["layers.0.weight"]
    weight[0, 0] = np.nextafter(weight[0, 0], 1)
    assert result.weights_sha256 != before


def of_quantities(folder: Path, **settings: object) -> Experiment:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    price = 500 + 40 * x[:, 0] + rng.normal(size=80)
    lines = [f"{a},{b},{c}" for (a, b), c in zip(x, price, strict=True)]
    (folder / "t.csv").write_text("\n".join(["a,b,price", *lines]))
    data = {"name": "file", "path": str(folder / "t.csv"), "target": "price"}
    return experiment(data=data, **settings)


def test_a_quantity_is_measured_in_its_units_beside_the_mean(tmp_path: Path) -> None:
    one = of_quantities(tmp_path, training__loss="huber")
    prepared = prepare(one)
    (result,) = train(prepared, [one])
    network = Network.from_weights(result.weights, require_fit(one, prepared).network)
    test, train_y = prepared.examples("test"), prepared.examples("train").y
    errors = network.predict(test.X)[0, :, 0] - test.y
    # The errors of the network are those of scaled numbers, times the scale.
    assert result.final["test/loss"] == pytest.approx((errors**2).mean(), rel=1e-9)
    assert result.final["test/rmse"] == pytest.approx((errors**2).mean() ** 0.5, rel=1e-9)
    assert result.final["test/mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-9)
    constant = ((train_y.mean() - test.y) ** 2).mean()
    assert result.final["baseline/test/loss"] == pytest.approx(constant, rel=1e-12)
    assert result.final["test/loss"] < 0.1 * constant
    # Huber's loss is of standardized errors.
    scaled = np.abs(network.predict(prepared.examples("train").X)[0, :, 0] - train_y)
    scaled /= prepared.target.scale
    huber = np.where(scaled <= 1, scaled**2 / 2, scaled - 0.5).mean()
    assert result.final["train/objective"] == pytest.approx(huber, rel=1e-9)
    assert {"train/objective", "val/rmse"} <= result.history[-1][1].keys()


def test_the_baseline_of_classes_is_their_shares() -> None:
    one = experiment()
    prepared = prepare(one)
    (result,) = train(prepared, [one])
    shares = np.bincount(prepared.examples("train").y) / 40
    loss = -np.log(shares[prepared.examples("test").y]).mean()
    assert result.final["baseline/test/loss"] == pytest.approx(loss, rel=1e-12)
    assert result.final["baseline/test/roc_auc"] == 0.5


def test_all_that_is_measured_is_recorded_once() -> None:
    one = experiment(training__early_stopping={**STOPPING, "metric": "val/f1_macro"})
    (result,) = train(prepare(one), [one])
    assert {"train/loss", "train/accuracy", "train/f1_macro"} < result.history[0][1].keys()
    assert "train/brier" not in result.history[0][1]
    last = {name: step for step, metrics in result.last_entries for name in metrics}
    assert last["val/brier"] == last["best/val/f1_macro"] == result.best_step
    assert last["test/brier"] == last["baseline/test/brier"] == result.n_steps
    assert "val/f1_macro" not in last


def test_quantities_alone_equal_those_in_a_stack(tmp_path: Path) -> None:
    stopping = {**STOPPING, "metric": "val/mae"}
    experiments = [
        of_quantities(tmp_path, seed=seed, training__early_stopping=stopping) for seed in range(3)
    ]
    prepared = prepare(experiments[0])
    stacked = train(prepared, experiments)
    assert [told(r) for r in stacked] == [told(train(prepared, [e])[0]) for e in experiments]
