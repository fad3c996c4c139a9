"""Ensembles: members with seeds of their own, and members that share weights."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from softnet import (
    LOSSES,
    Adam,
    EarlyStopping,
    Examples,
    Network,
    NetworkSettings,
    RunSettings,
    StackSettings,
    Training,
    member_seed,
    mlp,
)
from tests.softnet.layers.test_regularizing import bound

Array = np.ndarray
# Small enough to be trained side by side, and not.
SIZES = {"small": [3, 4, 2], "large": [3, 40, 40, 2]}
KINDS = {
    "own": {"n_members": 3},
    "shared": {"n_members": 3, "shares_weights": True},
    "dropout": {"n_members": 3, "dropout": 0.2, "normalization": "batch"},
}


def training(settings: NetworkSettings, seeds: list[int], **more: object) -> Training:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((23, 3)), rng.integers(2, size=23)
    stack = StackSettings(settings, 40, 5, 4, optimizer="adam")
    runs = [RunSettings(seed, Adam.Settings(0.01), **more) for seed in seeds]
    return Training(stack, runs, {"train": Examples(X, y), "val": Examples(X[:9], y[:9])})


@pytest.mark.parametrize("size", SIZES)
def test_each_member_equals_a_run_alone_with_its_seed_by_bytes(size: str) -> None:
    ensemble = training(mlp(SIZES[size], n_members=3), [9])
    list(ensemble)
    weights = ensemble.trained_network().weights()
    for member in range(3):
        alone = training(mlp(SIZES[size]), [member_seed(9, member)])
        list(alone)
        for name, array in alone.trained_network().weights().items():
            assert array.tobytes() == weights[name][member].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_rates_of_dropout_in_a_stack_equal_layers_of_their_own_rates_by_bytes(kind: str) -> None:
    def made(dropout: float | None) -> NetworkSettings:
        return mlp(SIZES["large"], **{**KINDS[kind], "dropout": dropout})

    rates = [0.1, 0.5, 0.25]
    settings = StackSettings(made(None), 40, 5, 4, optimizer="adam")
    given = training(made(0.1), [0, 1, 2])
    runs = [replace(r, dropout=d) for r, d in zip(given.runs, rates, strict=True)]
    stacked = Training(settings, runs, given.examples)
    for step, _ in enumerate(stacked):
        if step == 2:
            stacked.end([0])
    for run, rate in enumerate(rates[1:], start=1):
        alone = training(made(rate), [run])
        list(alone)
        ours, theirs = alone.trained_network().weights(), stacked.trained_network().weights(run)
        assert {n: a.tobytes() for n, a in ours.items()} == {
            n: a.tobytes() for n, a in theirs.items()
        }


def test_predictions_are_the_average_of_the_members() -> None:
    ensemble = training(mlp(SIZES["large"], n_members=3), [4])
    records = list(ensemble)
    network, rows = ensemble.trained_network(), np.random.default_rng(2).standard_normal((6, 3))
    parts = [
        Network.from_weights({k: w[m] for k, w in network.weights().items()}, mlp(SIZES["large"]))
        for m in range(3)
    ]
    mean = sum(part.predict(rows)[0] for part in parts) / 3
    np.testing.assert_allclose(network.predict(rows)[0], mean, rtol=1e-13)
    train = ensemble.examples["train"]
    right = network.predict(train.X)[0][np.arange(len(train.y)), train.y]
    assert records[-1].metrics["train/loss"][0] == pytest.approx(-np.log(right).mean(), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_combined_outputs_mean_the_average_prediction(loss: str) -> None:
    made = LOSSES[loss].Settings().make(np.dtype("float64"))
    members = np.random.default_rng(0).standard_normal((2, 3, 5, 4))
    mean = np.mean([made.predictions(members[:, m]) for m in range(3)], axis=0)
    np.testing.assert_allclose(made.predictions(made.combine(members)), mean, rtol=1e-12)
    np.testing.assert_allclose(made.predictions(made.outputs_of(mean)), mean, rtol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_alone_equals_in_a_stack_that_others_leave_by_bytes(kind: str, size: str) -> None:
    settings, rule = mlp(SIZES[size], **KINDS[kind]), EarlyStopping(patience=2)
    alone = training(settings, [1], early_stopping=rule)
    stacked = training(settings, [0, 1, 2], early_stopping=rule)
    list(alone), list(stacked)
    ours, theirs = alone.trained_network().weights(), stacked.trained_network().weights(1)
    assert {name: a.tobytes() for name, a in ours.items()} == {
        name: a.tobytes() for name, a in theirs.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_equals_uninterrupted_by_bytes(kind: str) -> None:
    settings, rule = mlp(SIZES["large"], **KINDS[kind]), EarlyStopping(patience=2)
    whole = training(settings, [0, 1, 2], early_stopping=rule)
    states = [whole.state() for _ in whole]
    for state in states[::3]:
        again = training(settings, [0, 1, 2], early_stopping=rule)
        again.restore(state)
        list(again)
        assert again.values.tobytes() == whole.values.tobytes()
        assert again.statistics.tobytes() == whole.statistics.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_rebuilt_from_json_and_weights_predicts_the_same_bytes(kind: str) -> None:
    settings = mlp(SIZES["large"], **KINDS[kind])
    trained = training(settings, [0, 1])
    list(trained)
    network, rows = trained.trained_network(), np.random.default_rng(2).standard_normal((6, 3))
    weights = network.weights(1)
    assert {name: array.shape for name, array in weights.items()} == settings.weight_shapes
    read = NetworkSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert Network.from_weights(weights, read).predict(rows)[0].tobytes() == (
        network.predict(rows)[1].tobytes()
    )


def test_members_scale_shared_weights_as_worked_by_hand() -> None:
    # Row (1, 2), weights (1, 10): member 0 takes it as it is, 1 + 20 = 21, times 2, plus 3; member
    # 1 with the second feature turned around, 1 - 20 = -19, plus 4.
    settings = mlp([2, 1, 1], n_members=2, shares_weights=True).layers[0]
    layer = bound(settings, 2)
    layer.values["weight"][:] = [[1.0], [10.0]]
    layer.values["scale_in"][:] = [[1.0, 1.0], [1.0, -1.0]]
    layer.values["scale_out"][:] = [[2.0], [1.0]]
    layer.values["bias"][:] = [[3.0], [4.0]]
    assert layer.forward(np.array([[[1.0, 2.0]]])).tolist() == [[[45.0], [-15.0]]]
