"""Loss and accuracy of a stack, held against scikit-learn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from softnet import (
    METRICS,
    SGD,
    Examples,
    Network,
    RunSettings,
    StackSettings,
    Training,
    evaluate,
    mlp,
)
from softnet.metrics import ROWS_PER_BLOCK

DTYPES = ["float32", "float64"]


def random_network(sizes: list[int], n_runs: int, dtype: str = "float64") -> Network:
    network = Network(mlp(sizes, "tanh"), n_runs, dtype)
    network.parameters.values[:] = np.random.default_rng(0).standard_normal(
        network.parameters.values.shape
    )
    return network


def test_loss_and_accuracy_equal_those_worked_by_hand() -> None:
    # logits = X * (0, ln 3): probabilities (1/4, 3/4) at X = 1, (1/2, 1/2) at 0, (3/4, 1/4) at -1.
    network = Network(mlp([1, 2]))
    network.parameters["layers.0.weight"][0] = [[0.0, math.log(3)]]
    X, y = np.array([[1.0], [0.0], [-1.0], [1.0]]), np.array([1, 1, 0, 0])
    metrics = evaluate(network, X, y)
    # Losses ln 4/3, ln 2, ln 4/3, ln 4. Right, wrong (a tie goes to the first class), right, wrong.
    by_hand = (2 * math.log(4 / 3) + math.log(2) + math.log(4)) / 4
    np.testing.assert_allclose(metrics["loss"], [by_hand], rtol=1e-15)
    assert metrics["accuracy"].tolist() == [0.5]


def test_the_metrics_asked_for_are_given_in_their_order() -> None:
    for names in (["accuracy", "loss"], ["loss"], list(METRICS)):
        assert list(evaluate(Network(mlp([1, 2])), np.zeros((1, 1)), np.array([0]), names)) == names


@pytest.mark.parametrize("n_classes", [2, 5])
def test_loss_and_accuracy_equal_scikit_learns(n_classes: int) -> None:
    network = random_network([6, 7, n_classes], n_runs=3)
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((300, 6)), rng.integers(n_classes, size=300)
    metrics = evaluate(network, X, y)
    for run, probabilities in enumerate(network.predict(X)):
        oracle = log_loss(y, probabilities, labels=np.arange(n_classes))
        # Both sum 300 float64 logarithms; scikit-learn takes them of rounded probabilities.
        assert metrics["loss"][run] == pytest.approx(oracle, rel=1e-13)
        assert metrics["accuracy"][run] == accuracy_score(y, probabilities.argmax(axis=-1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "n_rows", [1, ROWS_PER_BLOCK - 1, ROWS_PER_BLOCK, ROWS_PER_BLOCK + 1, 2 * ROWS_PER_BLOCK + 7]
)
def test_blocks_lose_and_repeat_no_row(n_rows: int, dtype: str) -> None:
    network = random_network([3, 4], 2, dtype)
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((n_rows, 3)).astype(dtype), rng.integers(4, size=n_rows)
    probabilities = network.predict(X).astype(np.float64)
    metrics = evaluate(network, X, y)
    losses = -np.log(probabilities[:, np.arange(n_rows), y]).mean(axis=-1)
    # In float32 each probability carries a rounding of 6e-8, relative.
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-6 if dtype == "float32" else 1e-13)
    hits = (probabilities.argmax(axis=-1) == y).mean(axis=-1)
    assert metrics["accuracy"].tolist() == hits.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_metrics_are_float64_whatever_the_network(dtype: str) -> None:
    metrics = evaluate(random_network([3, 4], 2, dtype), np.ones((5, 3), dtype), np.arange(5) % 4)
    assert {values.dtype for values in metrics.values()} == {np.dtype("float64")}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[3, 1], [4, 2], [5, 1, 3], [2, 6, 10]], ids=str)
@pytest.mark.parametrize("n_rows", [1, 7, ROWS_PER_BLOCK, ROWS_PER_BLOCK + 1, 2500])
def test_alone_equals_in_stack_by_bytes(n_rows: int, sizes: list[int], dtype: str) -> None:
    stack = random_network(sizes, 7, dtype)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n_rows, sizes[0])).astype(dtype)
    y = rng.integers(sizes[-1], size=n_rows)
    stacked = evaluate(stack, X, y)
    for run in range(7):
        alone = evaluate(Network.from_weights(stack.weights(run), stack.settings), X, y)
        for name, value in alone.items():
            assert value[0].tobytes() == stacked[name][run].tobytes()


def test_a_linear_network_reaches_the_optimum_of_logistic_regression() -> None:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((60, 2))
    # Noise, so that no line separates the classes: there the best loss has no finite weights.
    y = (X @ [1.0, -2.0] + rng.normal(0, 2, 60) > 0).astype(np.intp)
    with warnings.catch_warnings():
        # Versions differ in how one asks for no penalty; a large C means it in all of them.
        oracle = LogisticRegression(C=1e12, tol=1e-10).fit(X, y)
    settings = StackSettings(mlp((2, 2)), n_steps=2000, batch_size=60, evaluate_every=2000)
    run = RunSettings(0, SGD.Settings(learning_rate=1.0, momentum=0.9))
    training = Training(settings, [run], {"train": Examples(X, y)})
    (last,) = [record for record in training if record.metrics]
    best = log_loss(y, oracle.predict_proba(X))
    # Near the optimum the loss is flat: it is as close as scikit-learn's own stopping, squared.
    assert last.metrics["train/loss"][0] == pytest.approx(best, abs=1e-9)
    ours, theirs = training.trained_network().predict(X)[0], oracle.predict_proba(X)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="rows must have 3 features, got 2"):
        evaluate(Network(mlp([3, 2])), np.ones((4, 2)), np.zeros(4, np.intp))
