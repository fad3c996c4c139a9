"""How weights start."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softnet import INITIALIZERS, He, Network, mlp, stream

# The first four weights of a 3 x 2 matrix, seed 0: part of every result ever recorded. normal's
# are the generator's own, he's the same times sqrt(2/3), xavier's lie within sqrt(6/5) = 1.095.
FIRST_WEIGHTS = {
    "zeros": [0.0, 0.0, 0.0, 0.0],
    "normal": [1.4436909546981256, -0.8959459763857414, 0.735955670177038, 0.005877040405094311],
    "xavier": [0.9704275571203618, -0.40238513845638635, 0.4871282051904058, -0.8202625422753936],
    "he": [1.178768728427304, -0.731536826414911, 0.6009052884139248, 0.004798583396733603],
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_first_weights_are_those_that_were_always_drawn(name: str) -> None:
    weight = INITIALIZERS[name]()(stream(0, "init"), 3, 2)
    assert weight.shape == (3, 2)
    assert weight.ravel()[:4].tolist() == FIRST_WEIGHTS[name]


@pytest.mark.parametrize(
    ("name", "variance", "excess"),
    [
        # For in = 300, out = 500; `excess` is the kurtosis less 1, which decides how far the
        # variance of a sample strays: 2 for normal, 0.8 for uniform numbers.
        ("normal", 1.0, 2.0),
        ("xavier", 2 / 800, 0.8),
        ("he", 2 / 300, 2.0),
    ],
)
def test_variance_is_what_the_formula_says(name: str, variance: float, excess: float) -> None:
    weight = INITIALIZERS[name]()(stream(1, "init"), 300, 500)
    stray = math.sqrt(excess / weight.size)
    assert abs(float(weight.var()) / variance - 1) < 5 * stray
    assert abs(float(weight.mean())) < 5 * math.sqrt(variance / weight.size)


def test_xavier_stays_within_its_limit() -> None:
    weight = INITIALIZERS["xavier"]()(stream(1, "init"), 300, 500)
    limit = math.sqrt(6 / 800)
    assert np.abs(weight).max() <= limit
    assert np.abs(weight).max() > 0.99 * limit


@pytest.mark.parametrize("name", INITIALIZERS)
def test_float32_run_starts_at_the_rounded_float64_weights(name: str) -> None:
    starts = {}
    for dtype in (np.float32, np.float64):
        network = Network(mlp([5, 4, 3]), dtype=dtype)
        network.initialize([stream(0, "init")], [INITIALIZERS[name](0.7)])
        starts[dtype] = network.parameters.values
    assert starts[np.float32].tobytes() == starts[np.float64].astype(np.float32).tobytes()


def test_scale_multiplies_the_weights_of_its_own_run() -> None:
    network = Network(mlp([3, 2]), n_runs=2)
    network.initialize([stream(0, "init"), stream(0, "init")], [He(), He(0.25)])
    values = network.parameters.values
    assert values[1].tolist() == (0.25 * values[0]).tolist()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_alone_starts_as_in_a_stack_of_different_initializers(name: str) -> None:
    choices = [kind() for kind in (*INITIALIZERS.values(), INITIALIZERS[name])]
    stacked = Network(mlp([4, 3, 2]), n_runs=len(choices))
    stacked.initialize([stream(9, "init") for _ in choices], choices)
    alone = Network(mlp([4, 3, 2]))
    alone.initialize([stream(9, "init")], [INITIALIZERS[name]()])
    assert stacked.parameters.values[-1].tobytes() == alone.parameters.values[0].tobytes()


def test_biases_start_at_zero() -> None:
    network = Network(mlp([4, 3, 2]))
    network.initialize([stream(0, "init")], [INITIALIZERS["normal"]()])
    assert not network.parameters["layers.0.bias"].any()
    assert not network.parameters["layers.2.bias"].any()
