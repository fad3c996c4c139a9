"""The way in which a network's gradients are computed."""

from __future__ import annotations

import numpy as np
import pytest

from softnet import Examples, Network, mlp, one_hot
from softnet.training.backpropagation import LayerByLayer, gradients_of
from softnet.training.small_networks import SideBySide


def examples(n_features: int, n_classes: int) -> Examples:
    rng = np.random.default_rng(0)
    return Examples(rng.standard_normal((9, n_features)), rng.integers(n_classes, size=9))


@pytest.mark.parametrize("n_runs", [1, 2, 500])
@pytest.mark.parametrize(
    ("sizes", "batch_size", "way"),
    [((4, 2), 4, SideBySide), ((4, 2), 100, LayerByLayer), ((20, 20, 2), 4, LayerByLayer)],
    ids=str,
)
def test_shapes_choose_the_way_and_the_number_of_runs_does_not(
    sizes: tuple[int, ...], batch_size: int, way: type, n_runs: int
) -> None:
    network = Network(mlp(sizes), n_runs=n_runs)
    assert type(gradients_of(network, examples(sizes[0], sizes[-1]), batch_size)) is way


def test_run_by_run_writes_the_networks_own_gradients() -> None:
    network, train = Network(mlp([3, 4, 2], "tanh"), n_runs=2), examples(3, 2)
    network.parameters.values[:] = np.random.default_rng(1).standard_normal((2, 26))
    rows = np.array([[0, 3, 3], [8, 1, 2]])
    targets = one_hot(train.y, 2, network.dtype)[rows]
    network.backward(network.loss.gradient(network.forward(train.X[rows]), targets))
    expected = network.parameters.gradients.copy()
    network.parameters.gradients[:] = 0
    ways = LayerByLayer(network, train)
    ways(rows)
    assert ways.parameters is network.parameters
    # The first bias is added within a product, and not after it: a few roundings of numbers near 1.
    np.testing.assert_allclose(network.parameters.gradients, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("way", [LayerByLayer, SideBySide])
def test_the_same_rows_twice_give_the_same_gradients(way: type[LayerByLayer | SideBySide]) -> None:
    # All memory is kept between steps: none of it may hold on to what was before.
    network, train = Network(mlp([3, 4, 2]), n_runs=2), examples(3, 2)
    gradients = way(network, train)
    gradients.parameters.values[:] = np.random.default_rng(2).standard_normal((2, 26))
    first, other = np.array([[0, 3], [8, 1]]), np.array([[4, 5], [6, 7]])
    gradients(first)
    before = gradients.parameters.gradients.copy()
    gradients(other)
    assert gradients.parameters.gradients.tolist() != before.tolist()
    gradients(first)
    assert gradients.parameters.gradients.tolist() == before.tolist()


def test_run_by_run_goes_on_with_the_runs_that_stay() -> None:
    network, train = Network(mlp([3, 4, 2]), n_runs=3), examples(3, 2)
    network.parameters.values[:] = np.random.default_rng(3).standard_normal((3, 26))
    gradients, rows = LayerByLayer(network, train), np.array([[0, 3], [8, 1], [5, 5]])
    gradients(rows)
    before = network.parameters.gradients.copy()
    stay = np.array([0, 2])
    network.keep(stay)
    gradients.keep(stay)
    network.parameters.gradients[:] = 0
    gradients(rows[stay])
    assert network.parameters.gradients.tobytes() == before[stay].tobytes()
