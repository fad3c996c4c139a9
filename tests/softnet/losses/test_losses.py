"""Losses of quantities and of several labels; what is reported, and what is minimized."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softnet import (
    LOSSES,
    SGD,
    Examples,
    Linear,
    LossSettings,
    Network,
    NetworkSettings,
    RunSettings,
    StackSettings,
    Tanh,
    Training,
    central_differences,
    check_network,
    evaluate,
    relative_error,
)
from softnet.training.backpropagation import LayerByLayer

DTYPES = ["float32", "float64"]
FLOAT64 = np.dtype("float64")
Array = np.ndarray


def settings(name: str, **values: float) -> LossSettings:
    return LOSSES[name].Settings(**values)


# Outputs and targets of a row, what is reported, what is minimized, and the derivative for a batch
# of one. Errors (1, -3): squares 1 and 9, sizes 1 and 3; Huber's with delta 2: 1/2 and 2 (3 - 1).
# Sigmoids of (ln 3, ln 3) are 3/4: losses ln(4/3) of a 1, ln 4 of a 0.
# Softmax of (0, ln 3) is (1/4, 3/4). Of class 1 the loss is ln(4/3), of class 0 ln 4; with a share
# of 1/2 the target is (1/4, 3/4): the derivative is 0.
LN3, LN4 = math.log(3), math.log(4)
QUANTITIES = ([2.0, -1.0], [1.0, 2.0], 5.0)
STANDARDIZED = {"shift": 10.0, "scale": 2.0}
BY_HAND = [
    ("squared_error", {}, *QUANTITIES, 5.0, [1.0, -3.0]),
    ("absolute_error", {}, *QUANTITIES, 2.0, [0.5, -0.5]),
    ("huber", {"delta": 2.0}, *QUANTITIES, (0.5 + 4) / 2, [0.5, -1.0]),
    ("huber", {"delta": 4.0}, *QUANTITIES, 2.5, [0.5, -1.5]),
    # Of twice the target less 10 errors are twice as large, and minimized as they were.
    ("squared_error", STANDARDIZED, [1.0, -1.5], [10.0, 13.0], 20.0, 5.0, [1.0, -3.0]),
    ("huber", {"delta": 2.0, **STANDARDIZED}, [1.0, -1.5], [10.0, 13.0], 20.0, 2.25, [0.5, -1.0]),
    (
        "binary_cross_entropy",
        {},
        [LN3, LN3],
        [1.0, 0.0],
        (math.log(4 / 3) + LN4) / 2,
        (math.log(4 / 3) + LN4) / 2,
        [-1 / 8, 3 / 8],
    ),
    (
        "softmax_cross_entropy",
        {"label_smoothing": 0.5},
        [0.0, LN3],
        1,
        math.log(4 / 3),
        (math.log(4 / 3) + (math.log(4 / 3) + LN4) / 2) / 2,
        [0.0, 0.0],
    ),
]
KINDS = [(name, values) for name, values, *_ in BY_HAND]


@pytest.mark.parametrize(("name", "values", "z", "y", "loss", "objective", "slope"), BY_HAND)
def test_losses_equal_those_worked_by_hand(
    name: str,
    values: dict[str, float],
    z: list[float],
    y: object,
    loss: float,
    objective: float,
    slope: list[float],
) -> None:
    one = settings(name, **values).make(FLOAT64)
    outputs, known = np.array([[z]]), np.array([y])
    assert one.row_losses(outputs, known)[0, 0] == pytest.approx(loss, rel=1e-15)
    assert one.row_objectives(outputs, known)[0, 0] == pytest.approx(objective, rel=1e-15)
    gradient = one.gradient(outputs, one.targets(known, 2)[None])
    np.testing.assert_allclose(gradient[0, 0], slope, rtol=1e-15, atol=1e-16)


def rows(name: str, n_rows: int, n_outputs: int) -> Array:
    rng = np.random.default_rng(n_rows)
    if name == "softmax_cross_entropy":
        return rng.integers(n_outputs, size=n_rows)
    y = rng.standard_normal((n_rows, n_outputs))
    return (y > 0).astype(int) if name == "binary_cross_entropy" else y


@pytest.mark.parametrize("n_outputs", [1, 3, 7])
@pytest.mark.parametrize(("name", "values"), KINDS)
def test_gradient_equals_central_differences_of_what_is_minimized(
    name: str, values: dict[str, float], n_outputs: int
) -> None:
    loss, y = settings(name, **values).make(FLOAT64), rows(name, 6, n_outputs)
    outputs = 2 * np.random.default_rng(0).standard_normal((3, 6, n_outputs))
    targets = np.repeat(loss.targets(y, n_outputs)[None], 3, axis=0)
    analytic = loss.gradient(outputs, targets).copy()
    numeric = central_differences(
        lambda: float(loss.row_objectives(outputs, y).mean(axis=-1).sum()), outputs
    )
    assert relative_error(analytic, numeric) <= 1e-8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 3, 7])
@pytest.mark.parametrize(("name", "values"), KINDS)
def test_alone_equals_in_stack_by_bytes(
    name: str, values: dict[str, float], n_outputs: int, dtype: str
) -> None:
    y, rng = rows(name, 5, n_outputs), np.random.default_rng(1)
    outputs = (3 * rng.standard_normal((7, 5, n_outputs))).astype(dtype)

    def results(runs: slice) -> list[Array]:
        loss, own = settings(name, **values).make(outputs.dtype), outputs[runs].copy()
        targets = np.repeat(loss.targets(y, n_outputs)[None], len(own), axis=0)
        found = [loss.gradient(own, targets).copy(), loss.predictions(own)]
        return [*found, loss.row_losses(own, y), loss.row_objectives(own, y)]

    stacked = results(slice(0, 7))
    for run in range(7):
        for alone, together in zip(results(slice(run, run + 1)), stacked, strict=True):
            assert alone[0].tobytes() == together[run].tobytes()
    # In float32 the units of a target would lose digits.
    of_predictions = "float64" if "scale" in values else dtype
    assert [array.dtype for array in stacked[:2]] == [dtype, of_predictions]


def test_quantities_are_predicted_in_their_units() -> None:
    loss = settings("squared_error", **STANDARDIZED).make(np.dtype("float32"))
    assert loss.predictions(np.array([[[1.0, -1.5]]], "float32")).tolist() == [[[12.0, 7.0]]]


@pytest.mark.parametrize("name", ["absolute_error", "huber"])
def test_other_losses_of_quantities_are_reported_as_the_squared_error(name: str) -> None:
    y, outputs = rows(name, 5, 2), np.random.default_rng(2).standard_normal((2, 5, 2))
    plain = settings("squared_error").make(FLOAT64)
    assert (
        settings(name).make(FLOAT64).row_losses(outputs, y) == plain.row_losses(outputs, y)
    ).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_of_ten_thousand_give_exact_finite_losses(dtype: str) -> None:
    logits = np.array([[[1e4, -1e4]]], dtype)
    loss = settings("binary_cross_entropy").make(logits.dtype)
    with np.errstate(all="raise", under="ignore"):
        assert loss.row_losses(logits, np.array([[0, 0]])).tolist() == [[5000.0]]
        assert loss.gradient(logits, np.zeros((1, 1, 2), dtype)).tolist() == [[[0.5, 0.0]]]
        assert loss.predictions(logits).tolist() == [[[1.0, 0.0]]]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("huber", {"delta": 0.0}, r"delta: must be a finite number above 0, got 0\.0"),
        ("softmax_cross_entropy", {"label_smoothing": 1.0}, "label_smoothing: must be a number"),
        ("squared_error", {"scale": 0.0}, r"scale: must be a finite number above 0, got 0\.0"),
    ],
)
def test_settings_out_of_range_are_refused(
    name: str, values: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        settings(name, **values)


def network(name: str, width: int = 5) -> NetworkSettings:
    layers = (Linear.Settings(width), Tanh.Settings(), Linear.Settings(2))
    return NetworkSettings(3, layers, settings(name))


@pytest.mark.parametrize("width", [2, 40])  # trained side by side where the loss can be; by layers
@pytest.mark.parametrize("name", LOSSES)
def test_networks_with_each_loss_pass_the_gradient_check(name: str, width: int) -> None:
    one, rng = Network(network(name, width), n_runs=2), np.random.default_rng(3)
    one.parameters.values[:] = 0.5 * rng.standard_normal(one.parameters.values.shape)
    X = rng.standard_normal((2, 6, 3))
    assert max(check_network(one, X, rows(name, 6, 2)).values()) < 1e-7


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_of_weight_two_pulls_as_two_rows_do(name: str) -> None:
    one, rng = Network(network(name)), np.random.default_rng(4)
    X, y = rng.standard_normal((4, 3)), rows(name, 4, 2)
    one.parameters.values[:] = rng.standard_normal(one.parameters.values.shape)
    weighted = LayerByLayer(one, Examples(X, y, np.array([1.0, 2.0, 0.0, 1.0])))
    weighted(np.arange(4)[None])
    found = one.parameters.gradients.copy()
    LayerByLayer(one, Examples(X, y))(np.array([[0, 1, 1, 3]]))
    # The same four terms, added up in another order.
    np.testing.assert_allclose(found, one.parameters.gradients, rtol=1e-12, atol=1e-15)


def test_weights_are_factors_in_the_objective_and_shares_weigh_metrics() -> None:
    one, rng = Network(network("squared_error")), np.random.default_rng(5)
    X, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    factors = np.array([1.0, 2.0, 0.0, 3.0])
    losses = one.loss.row_losses(one.forward(X[None]), y)[0]
    found = evaluate(one, X, y, ("loss", "objective"), factors, factors)
    assert found["loss"][0] == pytest.approx((losses * factors).sum() / 6, rel=1e-14)
    assert found["objective"][0] == pytest.approx((losses * factors).mean(), rel=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_training_records_the_objective_and_alone_equals_in_a_stack_by_bytes(
    name: str, dtype: str, weighted: bool
) -> None:
    rng = np.random.default_rng(6)
    X = rng.standard_normal((30, 3))
    y = rows(name, 30, 2)
    weights = rng.uniform(0.5, 1.5, 30) if weighted else None
    stack = StackSettings(network(name), 60, 8, 30, dtype=dtype, metrics=("objective",))
    examples = {"train": Examples(X, y, weights), "val": Examples(X, y)}

    def trained(n_runs: int) -> Training:
        return Training(
            stack, [RunSettings(seed, SGD.Settings(0.1)) for seed in range(n_runs)], examples
        )

    alone, stacked = trained(1), trained(3)
    records, others = list(alone), list(stacked)
    assert alone.values[0].tobytes() == stacked.values[0].tobytes()
    for one, other in zip(records, others, strict=True):
        assert list(one.metrics) == ["train/loss", "train/objective", "val/loss"]
        for key, values in one.metrics.items():
            assert values[0].tobytes() == other.metrics[key][0].tobytes()
    assert records[-1].metrics["train/objective"][0] < records[0].metrics["train/objective"][0]
