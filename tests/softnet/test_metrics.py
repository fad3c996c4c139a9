"""Loss and accuracy of a stack, held against scikit-learn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from softnet import (
    LABEL_METRICS,
    METRICS,
    SGD,
    BinaryCrossEntropy,
    Examples,
    Network,
    Predicted,
    RunSettings,
    SquaredError,
    StackSettings,
    Training,
    evaluate,
    mlp,
)
from softnet.metrics import ROWS_PER_BLOCK

DTYPES = ["float32", "float64"]
OF_CLASSES = [name for name in METRICS if name not in {"rmse", "mae", "r2"}]


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
        found = evaluate(Network(mlp([1, 2])), np.zeros((2, 1)), np.array([0, 1]), names)
        assert list(found) == names


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


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[4, 2], [5, 1, 3], [2, 6, 10], [3, 26]], ids=str)
@pytest.mark.parametrize("n_rows", [1, 7, 359, ROWS_PER_BLOCK, ROWS_PER_BLOCK + 1, 2500])
def test_alone_equals_in_stack_by_bytes(
    n_rows: int, sizes: list[int], dtype: str, weighted: bool
) -> None:
    stack = random_network(sizes, 7, dtype)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n_rows, sizes[0])).astype(dtype)
    y = rng.integers(sizes[-1], size=n_rows)
    shares = rng.uniform(0.1, 3, n_rows) if weighted else None
    labels = tuple(map(str, range(sizes[-1])))
    names = [*OF_CLASSES, "precision_0", "recall_1"]
    stacked = evaluate(stack, X, y, names, shares, labels=labels)
    for run in range(7):
        network = Network.from_weights(stack.weights(run), stack.settings)
        for name, value in evaluate(network, X, y, names, shares, labels=labels).items():
            assert value[0].tobytes() == stacked[name][run].tobytes(), name


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


def measured(
    name: str, values: np.ndarray, y: np.ndarray, shares: np.ndarray | None, label: int = 0
) -> float:
    score = METRICS[name]() if name in METRICS else LABEL_METRICS[name](label)
    return float(score.of(Predicted(values[None], y, shares))[0])


# Of rows that all count alike, and of rows that do not.
SHARES = [None, np.random.default_rng(7).uniform(0.1, 3, 200)]


@pytest.mark.parametrize("shares", SHARES, ids=["alike", "weighted"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_of_classes_equal_scikit_learns(n_classes: int, shares: np.ndarray | None) -> None:
    rng = np.random.default_rng(n_classes)
    # Rounded, so that many rows have equal scores.
    p = np.round(rng.dirichlet(np.ones(n_classes), 200), 1) + 0.01
    p /= p.sum(axis=1, keepdims=True)
    y, said = rng.integers(n_classes, size=200), p.argmax(axis=1)
    scores = p[:, 1] if n_classes == 2 else p
    more = {"sample_weight": shares}
    every = {"average": None, "zero_division": 0.0, **more}
    expected = {
        "balanced_accuracy": sk.balanced_accuracy_score(y, said, **more),
        "f1_macro": sk.f1_score(y, said, average="macro", **more),
        "roc_auc": sk.roc_auc_score(y, scores, multi_class="ovr", **more),
        "average_precision": sk.average_precision_score(y, scores, **more),
        "brier": sk.brier_score_loss(y, scores, **more),
    }
    for name, value in expected.items():
        # Sums of 200 float64 numbers in another order.
        assert measured(name, p, y, shares) == pytest.approx(value, rel=1e-12), name
    for label in range(n_classes):
        for name, oracle in (("precision", sk.precision_score), ("recall", sk.recall_score)):
            value = oracle(y, said, **every)[label]
            assert measured(name, p, y, shares, label) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("shares", SHARES, ids=["alike", "weighted"])
def test_scores_of_several_labels_equal_scikit_learns(shares: np.ndarray | None) -> None:
    network = Network(mlp([3, 3], loss=BinaryCrossEntropy.Settings()))
    network.parameters.values[:] = np.random.default_rng(0).standard_normal((1, 12))
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((200, 3)), rng.integers(2, size=(200, 3))
    names = ["accuracy", "f1_macro", "roc_auc", "average_precision", "brier", "recall_b"]
    found = evaluate(network, X, y, names, shares, labels=("a", "b", "c"))
    p, more = network.predict(X)[0], {"sample_weight": shares}
    said = p >= 0.5
    expected = {
        "accuracy": sk.accuracy_score(y, said, **more),
        "f1_macro": sk.f1_score(y, said, average="macro", **more),
        "roc_auc": sk.roc_auc_score(y, p, **more),
        "average_precision": sk.average_precision_score(y, p, **more),
        "brier": np.mean([sk.brier_score_loss(y[:, n], p[:, n], **more) for n in range(3)]),
        "recall_b": sk.recall_score(y, said, average=None, **more)[1],
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("shares", SHARES, ids=["alike", "weighted"])
def test_scores_of_quantities_are_in_their_units_and_equal_scikit_learns(
    shares: np.ndarray | None,
) -> None:
    network = Network(mlp([3, 1], loss=SquaredError.Settings(shift=50.0, scale=20.0)))
    network.parameters.values[:] = np.random.default_rng(0).standard_normal((1, 4))
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((200, 3)), rng.normal(50, 20, 200)
    found = evaluate(network, X, y, ["loss", "rmse", "mae", "r2"], shares)
    said, more = network.predict(X)[0, :, 0], {"sample_weight": shares}
    expected = {
        "loss": sk.mean_squared_error(y, said, **more),
        "rmse": sk.root_mean_squared_error(y, said, **more),
        "mae": sk.mean_absolute_error(y, said, **more),
        "r2": sk.r2_score(y, said, **more),
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, rel=1e-12), name


def test_scores_worked_by_hand() -> None:
    # In falling order of the score the labels are 1, 0 and 1 (equal), 0.
    p, y = np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 0, 1, 0])
    values = np.stack([1 - p, p], axis=1)
    # Of the four pairs three are in order and one is even.
    assert measured("roc_auc", values, y, None) == 3.5 / 4
    # At the first row precision is 1, at the next two 2/3: half of the recall each.
    assert measured("average_precision", values, y, None) == pytest.approx(0.5 + 1 / 3)
    assert measured("brier", values, y, None) == pytest.approx((0.01 + 0.25 + 0.25 + 0.01) / 4)
    # Equal probabilities say the first class: 1, 0, 0, 0.
    assert measured("recall", values, y, None, 1) == 0.5
    assert measured("precision", values, y, None, 0) == 2 / 3


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_a_curve_of_rows_that_all_have_the_label_has_no_area(name: str) -> None:
    values = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert math.isnan(measured(name, values, np.array([1, 1]), None))


@pytest.mark.parametrize("left", [0.0, 1.0])
def test_r2_of_equal_targets_is_that_of_scikit_learn(left: float) -> None:
    y, said = np.ones(3), np.ones((3, 1)) + left
    assert measured("r2", said, y, None) == sk.r2_score(y, said[:, 0])


def test_scores_of_a_run_that_diverged_are_no_numbers_and_of_others_the_same() -> None:
    stack = random_network([3, 2], 3)
    stack.parameters["layers.0.bias"][1] = np.nan
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((50, 3)), rng.integers(2, size=50)
    names = [name for name in METRICS if name not in ("loss", "accuracy", "rmse", "mae", "r2")]
    stacked = evaluate(stack, X, y, names)
    for run in (0, 2):
        alone = evaluate(Network.from_weights(stack.weights(run), stack.settings), X, y, names)
        for name in names:
            assert stacked[name][run].tobytes() == alone[name][0].tobytes()
            assert math.isnan(stacked[name][1])
