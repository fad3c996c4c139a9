"""The linear layer, and an activation as a layer."""

from __future__ import annotations

import numpy as np
import pytest

from softnet import Linear, ReLU, Tanh, central_differences, relative_error

DTYPES = ["float32", "float64"]


def bound(weight: np.ndarray, bias: np.ndarray) -> tuple[Linear, dict[str, np.ndarray]]:
    """Return a linear layer with these parameters (runs, ...), and where its gradients go."""
    n_runs, in_features, out_features = weight.shape
    layer = Linear.Settings(out_features).make(in_features, weight.dtype)
    values = np.concatenate([weight.reshape(n_runs, -1), bias], axis=1)
    layer.bind(values, np.zeros_like(values), np.empty((n_runs, 0)))
    return layer, layer.gradients


# One run, two rows:   X = | 1 2 |   weight = | 1  0  2 |   bias = | 10 20 30 |
#                          | 3 4 |            | 0 -1  1 |
# output = X @ weight + bias:  row 1 = (1, -2, 4) + bias,  row 2 = (3, -4, 10) + bias
X = np.array([[[1.0, 2.0], [3.0, 4.0]]])
WEIGHT = np.array([[[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]]])
BIAS = np.array([[10.0, 20.0, 30.0]])
OUTPUT = [[[11.0, 18.0, 34.0], [13.0, 16.0, 40.0]]]
# With G = | 1 0 -1 |   d_weight = X.T @ G = | 1*1+3*0  1*0+3*2  1*-1+3*1 | = | 1 6 2 |
#          | 0 2  1 |                        | 2*1+4*0  2*0+4*2  2*-1+4*1 |   | 2 8 2 |
# d_bias = sum of G's rows = (1, 2, 0);  d_X = G @ weight.T = | 1-2  -1 | = | -1 -1 |
#                                                             |  2  -2+1 |  |  2 -1 |
G = np.array([[[1.0, 0.0, -1.0], [0.0, 2.0, 1.0]]])


def test_linear_forward_equals_the_product_worked_by_hand() -> None:
    layer, _ = bound(WEIGHT, BIAS)
    assert layer.forward(X).tolist() == OUTPUT


def test_linear_backward_equals_the_gradients_worked_by_hand() -> None:
    layer, gradients = bound(WEIGHT, BIAS)
    layer.forward(X)
    d_input = layer.backward(G)
    assert gradients["weight"].tolist() == [[[1.0, 6.0, 2.0], [2.0, 8.0, 2.0]]]
    assert gradients["bias"].tolist() == [[1.0, 2.0, 0.0]]
    assert d_input.tolist() == [[[-1.0, -1.0], [2.0, -1.0]]]


def test_linear_gives_the_same_parameter_gradients_without_that_of_the_input() -> None:
    layer, gradients = bound(WEIGHT, BIAS)
    layer.forward(X)
    layer.backward_parameters(G)
    assert gradients["weight"].tolist() == [[[1.0, 6.0, 2.0], [2.0, 8.0, 2.0]]]
    assert gradients["bias"].tolist() == [[1.0, 2.0, 0.0]]


def test_linear_gradients_replace_those_of_the_step_before() -> None:
    layer, gradients = bound(WEIGHT, BIAS)
    for _ in range(2):
        layer.forward(X)
        layer.backward(G)
    assert gradients["weight"].tolist() == [[[1.0, 6.0, 2.0], [2.0, 8.0, 2.0]]]


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 2), (5, 1, 3), (3, 6, 1)], ids=str)
def test_linear_gradients_equal_central_differences(shape: tuple[int, int, int]) -> None:
    n_rows, in_features, out_features = shape
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2, n_rows, in_features))
    weight = rng.standard_normal((2, in_features, out_features))
    bias = rng.standard_normal((2, out_features))
    d_output = rng.standard_normal((2, n_rows, out_features))
    layer, gradients = bound(weight, bias)
    layer.forward(rows)
    d_input = layer.backward(d_output.copy())
    analytic = {"input": d_input.copy(), **gradients}
    own = {"input": rows, **layer.values}

    def weighed_output() -> float:
        return float((layer.forward(rows) * d_output).sum())

    for name, values in own.items():
        # The function is linear: its central difference has no error but rounding.
        assert relative_error(analytic[name], central_differences(weighed_output, values)) <= 1e-9


def test_linear_maps_the_same_rows_for_every_run() -> None:
    rng = np.random.default_rng(1)
    weight, bias = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 2))
    rows = rng.standard_normal((1, 5, 4))
    shared = bound(weight, bias)[0].forward(rows).copy()
    repeated = bound(weight, bias)[0].forward(np.repeat(rows, 3, axis=0))
    assert shared.tobytes() == repeated.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (4, 4, 2), (1, 5, 3), (7, 1, 4), (5, 3, 1), (32, 64, 32)], ids=str
)
def test_linear_alone_equals_in_stack_by_bytes(shape: tuple[int, int, int], dtype: str) -> None:
    n_rows, in_features, out_features = shape
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((7, n_rows, in_features)).astype(dtype)
    weight = rng.standard_normal((7, in_features, out_features)).astype(dtype)
    bias = rng.standard_normal((7, out_features)).astype(dtype)
    d_output = rng.standard_normal((7, n_rows, out_features)).astype(dtype)

    def results(runs: slice) -> list[np.ndarray]:
        layer, gradients = bound(weight[runs].copy(), bias[runs].copy())
        output = layer.forward(rows[runs].copy()).copy()
        d_input = layer.backward(d_output[runs].copy())
        assert output.dtype == d_input.dtype == dtype
        return [output, d_input, gradients["weight"], gradients["bias"]]

    stacked = results(slice(0, 7))
    for run in range(7):
        for alone, together in zip(results(slice(run, run + 1)), stacked, strict=True):
            assert alone[0].tobytes() == together[run].tobytes()


def test_linear_refuses_rows_of_another_width() -> None:
    layer, _ = bound(WEIGHT, BIAS)
    with pytest.raises(ValueError, match="mismatch"):
        layer.forward(np.ones((1, 2, 3)))


def test_activation_layer_overwrites_what_it_is_given() -> None:
    layer = ReLU.Settings().make(2, np.dtype("float64"))
    z = np.array([[[-1.0, 2.0]]])
    assert layer.forward(z) is z
    assert z.tolist() == [[[0.0, 2.0]]]
    gradient = np.array([[[5.0, 5.0]]])
    assert layer.backward(gradient) is gradient
    assert gradient.tolist() == [[[0.0, 5.0]]]


def test_activation_layer_has_no_parameters() -> None:
    layer = Tanh.Settings().make(3, np.dtype("float64"))
    assert (layer.parameter_shapes, layer.out_features) == ({}, 3)
    layer.backward_parameters(layer.forward(np.ones((1, 2, 3))))
