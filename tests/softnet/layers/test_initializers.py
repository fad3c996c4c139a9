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
    # normal's times sqrt(2/5); xavier's times sqrt(5/3), and times sqrt(5/18).
    "xavier_normal": [
        0.9130703308458085,
        -0.5666459891684753,
        0.46545923493501906,
        0.003716966716187332,
    ],
    "he_uniform": [
        1.2528165891426364,
        -0.5194769800009833,
        0.6288798087234506,
        -1.0589543885834525,
    ],
    "uniform": [
        0.511460230782249,
        -0.21207558902073181,
        0.2567391068185898,
        -0.43231631881839977,
    ],
}


@pytest.mark.parametrize("name", FIRST_WEIGHTS)
def test_first_weights_are_those_that_were_always_drawn(name: str) -> None:
    weight = INITIALIZERS[name]()(stream(0, "init"), (3, 2))
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
        ("xavier_normal", 2 / 800, 2.0),
        ("he_uniform", 2 / 300, 0.8),
        ("uniform", 1 / 900, 0.8),
    ],
)
def test_variance_is_what_the_formula_says(name: str, variance: float, excess: float) -> None:
    weight = INITIALIZERS[name]()(stream(1, "init"), (300, 500))
    stray = math.sqrt(excess / weight.size)
    assert abs(float(weight.var()) / variance - 1) < 5 * stray
    assert abs(float(weight.mean())) < 5 * math.sqrt(variance / weight.size)


def test_xavier_stays_within_its_limit() -> None:
    weight = INITIALIZERS["xavier"]()(stream(1, "init"), (300, 500))
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


@pytest.mark.parametrize(("n_in", "n_out"), [(5, 3), (3, 5), (4, 4), (1, 3)])
def test_orthogonal_weights_are_those_of_gram_and_schmidt(n_in: int, n_out: int) -> None:
    drawn = stream(0, "init").standard_normal((max(n_in, n_out), min(n_in, n_out)))
    found: list[np.ndarray] = []
    for column in drawn.T:
        rest = column - sum((column @ other) * other for other in found)
        found.append(rest / np.linalg.norm(rest))
    expected = np.array(found) if n_in < n_out else np.array(found).T
    weight = INITIALIZERS["orthogonal"]()(stream(0, "init"), (n_in, n_out))
    # Both round a few times; the columns are far from parallel.
    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-13)
    assert set(INITIALIZERS) == {*FIRST_WEIGHTS, "orthogonal"}
