"""Each activation's value and derivative, in the order that anchors every numeric object."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softnet import ACTIVATIONS, central_differences, relative_error

DTYPES = ["float32", "float64"]


def value(name: str, z: np.ndarray) -> np.ndarray:
    """Return the activation at `z`, which it would overwrite."""
    output = z.copy()
    ACTIVATIONS[name].Settings().make(1, z.dtype).value(output)
    return output


def chained(name: str, z: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return `gradient` times the derivative at `z`."""
    layer, output, result = ACTIVATIONS[name].Settings().make(1, z.dtype), z.copy(), gradient.copy()
    layer.value(output)
    layer.chain(output, result)
    return result


# tanh(ln 2) = (2 - 1/2) / (2 + 1/2) = 0.6, its derivative 1 - 0.36 = 0.64.
# sigmoid(ln 3) = 1 / (1 + 1/3) = 3/4, its derivative 3/4 * 1/4 = 3/16.
# elu(-ln 2) = 1/2 - 1, its derivative 1/2; selu's are those times its factors.
# softplus(ln 3) = ln 4, softplus(-ln 3) = ln(4/3); its derivative is the sigmoid.
# silu(ln 3) = 3/4 ln 3, its derivative 3/4 (1 + ln 3 * 1/4).
# mish(ln 2): softplus is ln 3, tanh of that (9 - 1) / (9 + 1) = 4/5; its derivative is
# 4/5 + ln 2 * (1 - 16/25) * 2/3. mish(-ln 2): tanh(ln(3/2)) = (9/4 - 1) / (9/4 + 1) = 5/13.
# gelu at 1: tanh(u) = T, u = sqrt(2 / pi) * 1.044715; derivative
# (1 + T) / 2 + (1 - T**2) / 2 * sqrt(2 / pi) * (1 + 3 * 0.044715).
LN2, LN3 = math.log(2), math.log(3)
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
ROOT = math.sqrt(2 / math.pi)
T = math.tanh(ROOT * 1.044715)
GELU_SLOPE = (1 - T * T) / 2 * ROOT * 1.134145
BY_HAND = [
    ("relu", [-1.5, 0.0, 2.0], [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]),
    ("tanh", [-math.log(2), 0.0, math.log(2)], [-0.6, 0.0, 0.6], [0.64, 1.0, 0.64]),
    ("sigmoid", [-math.log(3), 0.0, math.log(3)], [0.25, 0.5, 0.75], [3 / 16, 1 / 4, 3 / 16]),
    ("identity", [-1.5, 0.0, 2.0], [-1.5, 0.0, 2.0], [1.0, 1.0, 1.0]),
    ("leaky_relu", [-1.5, 0.0, 2.0], [-0.015, 0.0, 2.0], [0.01, 0.01, 1.0]),
    ("elu", [-LN2, 0.0, 2.0], [-0.5, 0.0, 2.0], [0.5, 1.0, 1.0]),
    (
        "selu",
        [-LN2, 0.0, 2.0],
        [-SCALE * ALPHA / 2, 0.0, 2 * SCALE],
        [SCALE * ALPHA / 2, SCALE * ALPHA, SCALE],
    ),
    ("softplus", [-LN3, 0.0, LN3], [math.log(4 / 3), LN2, 2 * LN2], [1 / 4, 1 / 2, 3 / 4]),
    (
        "silu",
        [-LN3, 0.0, LN3],
        [-LN3 / 4, 0.0, LN3 * 3 / 4],
        [(1 - LN3 * 3 / 4) / 4, 1 / 2, (1 + LN3 / 4) * 3 / 4],
    ),
    (
        "gelu",
        [-1.0, 0.0, 1.0],
        [(T - 1) / 2, 0.0, (T + 1) / 2],
        [(1 - T) / 2 - GELU_SLOPE, 1 / 2, (1 + T) / 2 + GELU_SLOPE],
    ),
    (
        "mish",
        [-LN2, 0.0, LN2],
        [-LN2 * 5 / 13, 0.0, LN2 * 4 / 5],
        [5 / 13 - LN2 * (1 - 25 / 169) / 3, 3 / 5, 4 / 5 + LN2 * 9 / 25 * 2 / 3],
    ),
]


def test_every_activation_is_worked_by_hand() -> None:
    assert {name for name, *_ in BY_HAND} == set(ACTIVATIONS)


@pytest.mark.parametrize(("name", "z", "values", "slopes"), BY_HAND, ids=str)
def test_value_and_derivative_equal_those_worked_by_hand(
    name: str, z: list[float], values: list[float], slopes: list[float]
) -> None:
    output = value(name, np.array(z))
    # A few roundings of numbers near 1.
    np.testing.assert_allclose(output, values, rtol=0, atol=4e-16)
    # The chain multiplies what it is given: a gradient of 3 becomes 3 times the slope.
    np.testing.assert_allclose(
        chained(name, np.array(z), np.full(3, 3.0)), 3 * np.array(slopes), rtol=0, atol=2e-15
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_equals_central_differences(name: str) -> None:
    rng = np.random.default_rng(0)
    z, weights = rng.standard_normal((2, 3, 4, 5))
    # Some have no derivative at 0, and a difference across the kink measures none.
    z[np.abs(z) < 0.01] = 0.5
    numeric = central_differences(lambda: float((value(name, z) * weights).sum()), z)
    assert relative_error(chained(name, z, weights), numeric) <= 1e-9


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_mirrors_about_one_half(dtype: str) -> None:
    z = np.linspace(0, 30, 301, dtype=dtype)
    np.testing.assert_array_equal(value("sigmoid", z) + value("sigmoid", -z), 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_odd_by_bytes(dtype: str) -> None:
    z = np.random.default_rng(1).standard_normal(1000).astype(dtype)
    assert value("tanh", -z).tobytes() == (-value("tanh", z)).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_inputs_stay_finite_and_keep_the_dtype(name: str, dtype: str) -> None:
    z = np.array([-1e30, -1e4, 1e4, 1e30], dtype)
    with np.errstate(all="raise", under="ignore"):
        output = value(name, z)
        slopes = chained(name, z, np.ones_like(z))
    assert np.isfinite(output).all()
    assert np.isfinite(slopes).all()
    assert output.dtype == slopes.dtype == dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_passes_so_that_a_diverged_run_is_noticed(name: str) -> None:
    assert np.isnan(value(name, np.array([np.nan]))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_gives_zero_one_sign_wherever_it_stands(dtype: str) -> None:
    # Of 0 and -0 either is the larger; which one must not depend on where NumPy's vectors end.
    for n in range(1, 70):
        for zero in (0.0, -0.0):
            assert not np.signbit(value("relu", np.full(n, zero, dtype))).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 1), (4, 7), (32, 33)], ids=str)
def test_alone_equals_in_stack_by_bytes(name: str, dtype: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    z, gradient = (4 * rng.standard_normal((2, 7, *shape))).astype(dtype)
    outputs = value(name, z)
    slopes = chained(name, z, gradient)
    for run in range(7):
        alone = value(name, z[run : run + 1].copy())
        assert alone.tobytes() == outputs[run].tobytes()
        slope = chained(name, z[run : run + 1].copy(), gradient[run : run + 1].copy())
        assert slope.tobytes() == slopes[run].tobytes()
