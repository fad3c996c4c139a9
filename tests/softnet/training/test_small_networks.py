"""Gradients of small networks, with the runs side by side in memory."""

from __future__ import annotations

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    Examples,
    Network,
    mlp,
    one_hot,
)
from softnet.training.small_networks import SideBySide, supports

DTYPES = ["float32", "float64"]
ALONE = [(run,) for run in range(5)]


def small_network(
    sizes: tuple[int, ...], n_runs: int, activation: str = "relu", dtype: str = "float64"
) -> Network:
    """Make a network with random parameters, biases too, each run's the same in any number."""
    network = Network(mlp(sizes, activation), n_runs, dtype)
    for run, values in enumerate(network.parameters.values):
        values[:] = np.random.default_rng([3, run]).standard_normal(len(values))
    return network


def examples(sizes: tuple[int, ...], n_samples: int, dtype: str = "float64") -> Examples:
    rng = np.random.default_rng([4, n_samples, *sizes])
    X = rng.standard_normal((n_samples, sizes[0])).astype(dtype)
    X[::3, 0] = 0.0
    return Examples(X, rng.integers(sizes[-1], size=n_samples))


def drawn(n_samples: int, batch_size: int, n_runs: int) -> np.ndarray:
    """Draw rows for each run, from a generator of its own."""
    return np.stack(
        [
            np.random.default_rng([5, run]).integers(n_samples, size=batch_size)
            for run in range(n_runs)
        ]
    )


def gradients(network: Network, train: Examples, rows: np.ndarray) -> np.ndarray:
    """Return the gradients (runs, n_parameters) at the network's parameters."""
    side_by_side = SideBySide(network, train)
    side_by_side.parameters.values[:] = network.parameters.values
    side_by_side(np.asfortranarray(rows))
    return side_by_side.parameters.gradients.copy()


def test_gradients_equal_those_worked_by_hand() -> None:
    # The ReLU network of test_network.py with logits (3, 2) and (0, 5) where both rows are of the
    # second class. p = exp(1) / (1 + exp(1)), q = 1 / (1 + exp(5)): G = (p, -p) / 2 and
    # (q, -q) / 2. d_weight2 = hidden.T @ G with hidden (3, 1) and (0, 2); at the hidden units
    # G @ weight2.T = (p, -3p) / 2 and (q, -3q) / 2, of which ReLU stops the first of the second.
    weights = [1.0, -1.0, 2.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 3.0, 0.0, -1.0]
    network = Network(mlp([2, 2, 2], "relu"))
    network.parameters.values[:] = weights
    train = Examples(np.array([[1.0, 1.0], [-1.0, 0.0]]), np.array([1, 1]))
    p, q = np.exp(1) / (1 + np.exp(1)) / 2, 1 / (1 + np.exp(5)) / 2
    d_first = [p, -3 * p + 3 * q, p, -3 * p, p, -3 * p - 3 * q]
    d_second = [3 * p, -3 * p, p + 2 * q, -p - 2 * q, p + q, -p - q]
    # A few roundings.
    np.testing.assert_allclose(
        gradients(network, train, np.array([[0, 1]])), [d_first + d_second], rtol=1e-14
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "sizes", [(4, 2), (3, 1), (5, 3, 4), (3, 4, 1, 5, 3), (2, 2, 2, 2, 2)], ids=str
)
def test_gradients_equal_those_of_the_networks_layers(
    sizes: tuple[int, ...], activation: str, dtype: str
) -> None:
    network, train = small_network(sizes, 3, activation, dtype), examples(sizes, 8, dtype)
    rows = drawn(8, 6, 3)
    targets = one_hot(train.y, sizes[-1], network.dtype)[rows]
    network.backward(network.loss.gradient(network.forward(train.X[rows]), targets))
    ours = gradients(network, train, rows)
    assert ours.dtype == dtype
    # Both sum a few numbers near 1, each rounded in its own order.
    tolerance = 100 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(ours, network.parameters.gradients, rtol=0, atol=tolerance)


def random_case(rng: np.random.Generator) -> tuple[tuple[int, ...], int]:
    """Draw layer sizes and a batch size of which sums have ones, few and many terms."""
    while True:
        sizes = tuple(rng.choice([1, 1, 2, 3, 4, 7, 9, 17, 30], rng.integers(2, 5)).tolist())
        batch_size = int(rng.choice([1, 1, 2, 3, 4, 8, 9, 16, 33, 130]))
        if supports(Network(mlp(sizes)), batch_size):
            return sizes, batch_size


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_alone_equals_in_every_stack_by_bytes(activation: str, dtype: str) -> None:
    # Shapes of its own for each combination.
    rng = np.random.default_rng([DTYPES.index(dtype), list(ACTIVATIONS).index(activation)])
    for _ in range(6):
        sizes, batch_size = random_case(rng)
        train = examples(sizes, 11, dtype)
        rows = drawn(11, batch_size, 70)
        found = {}
        for runs in (*ALONE, (0, 1), range(3), range(5), range(70), (4, 1, 1)):
            network = small_network(sizes, 70, activation, dtype)
            network.keep(np.array(runs))
            stacked = gradients(network, train, rows[np.array(runs)])
            for run, ours in list(zip(runs, stacked, strict=True))[:5]:
                assert found.setdefault(run, ours.tobytes()) == ours.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_and_the_last_of_500_runs_have_their_bits_alone(dtype: str) -> None:
    train, rows = examples((4, 2), 11, dtype), drawn(11, 4, 500)
    stacked = gradients(small_network((4, 2), 500, "relu", dtype), train, rows)
    for run in (0, 499):
        own = small_network((4, 2), 500, "relu", dtype)
        own.keep(np.array([run]))
        assert gradients(own, train, rows[[run]])[0].tobytes() == stacked[run].tobytes()


def test_sums_with_many_terms_for_one_number_equal_those_in_a_stack_by_bytes() -> None:
    # One number per run is what NumPy would add up in pairs, were a run alone.
    for dtype in DTYPES:
        train, rows = examples((200, 1, 1), 7, dtype), drawn(7, 1, 3)
        network = small_network((200, 1, 1), 3, "tanh", dtype)
        stacked = gradients(network, train, rows)
        for run in range(3):
            own = small_network((200, 1, 1), 3, "tanh", dtype)
            own.keep(np.array([run]))
            alone = gradients(own, train, rows[run : run + 1])
            assert alone[0].tobytes() == stacked[run].tobytes()


def test_a_short_batch_between_others_has_the_gradients_of_its_own_rows() -> None:
    network, train = small_network((3, 2), 2), examples((3, 2), 5)
    side_by_side = SideBySide(network, train)
    side_by_side.parameters.values[:] = network.parameters.values
    for batch_size in (4, 1, 4, 3):
        rows = drawn(5, batch_size, 2)
        side_by_side(rows)
        found = side_by_side.parameters.gradients
        assert found.tobytes() == gradients(network, train, rows).tobytes()


def test_kept_runs_have_the_gradients_that_they_had() -> None:
    network, train, rows = small_network((3, 4, 2), 5), examples((3, 4, 2), 9), drawn(9, 4, 5)
    side_by_side = SideBySide(network, train)
    side_by_side.parameters.values[:] = network.parameters.values
    side_by_side(rows)
    before = side_by_side.parameters.gradients.copy()
    stay = np.array([1, 4])
    side_by_side.keep(stay)
    side_by_side(rows[stay])
    assert side_by_side.parameters.gradients.tolist() == before[stay].tolist()


def test_no_kept_runs_are_an_empty_stack() -> None:
    side_by_side = SideBySide(small_network((3, 2), 2), examples((3, 2), 5))
    side_by_side.keep(np.array([], np.intp))
    side_by_side(np.empty((0, 4), np.intp))
    assert side_by_side.parameters.gradients.shape == (0, 8)


@pytest.mark.parametrize(
    ("sizes", "batch_size", "small"),
    [
        ((4, 2), 4, True),
        ((4, 2), 25, True),
        # (4 + 1) * 2 parameters, 26 rows: 260 terms.
        ((4, 2), 26, False),
        ((4, 6, 3), 8, True),
        ((4, 2, 30, 2), 4, False),
        ((64, 64, 32, 10), 32, False),
    ],
    ids=str,
)
def test_the_largest_layer_and_the_batch_decide_what_is_small(
    sizes: tuple[int, ...], batch_size: int, small: bool
) -> None:
    assert supports(Network(mlp(sizes)), batch_size) is small
