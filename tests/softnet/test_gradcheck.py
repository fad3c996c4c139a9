"""Gradients against central differences, and planted faults that the check must find."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    Activation,
    Identity,
    Linear,
    Network,
    ReLU,
    SoftmaxCrossEntropy,
    Tanh,
    central_differences,
    check_network,
    mlp,
    relative_error,
)
from softnet.training.backpropagation import LayerByLayer
from softnet.training.small_networks import SideBySide, supports

FLOAT64 = np.dtype("float64")
# What the check lets pass; a correct network stays near 1e-10.
ALLOWED = 1e-7
N_ROWS = 6
# No hidden layer, one, and more; a single unit, a single class, equal widths (where a transposed
# weight still fits).
SMALL = [(4, 2), (3, 1), (4, 4, 3), (3, 1, 2), (4, 4, 4, 3), (3, 5, 4, 2, 3)]
# Too large to be trained side by side: the other way, and the check of it, is theirs.
LARGE = [(14, 3), (50, 1), (7, 7, 3), (4, 9, 5, 2)]
DEPTHS = [*SMALL, *LARGE]


def drawn_network(sizes: tuple[int, ...], activation: str, n_runs: int = 3) -> Network:
    """Return a network with weights that neither saturate nor die, and biases that are not 0."""
    network = Network(mlp(sizes, activation), n_runs)
    for name, shape in network.parameters.shapes.items():
        rng = np.random.default_rng([len(name), *shape])
        scale = 1 / np.sqrt(shape[0]) if name.endswith("weight") else 0.5
        network.parameters[name][:] = rng.normal(0, scale, (n_runs, *shape))
    return network


def distance_to_kink(network: Network, X: np.ndarray) -> np.ndarray:
    """Return, for each run and row, how near to 0 any input of an activation comes."""
    distance = np.full(X.shape[:2], np.inf)
    for layer in network.layers:
        if isinstance(layer, Activation):
            distance = np.minimum(distance, np.abs(X).min(axis=-1))
        X = layer.forward(X.copy())
    return distance


def rows_away_from_kinks(network: Network) -> np.ndarray:
    """Choose rows whose hidden units all stay on their side of ReLU's kink.

    Moving one parameter by h = 1e-5 moves a unit's input by at most h times the rows and weights
    on its way, here less than 20 h. A unit nearer to 0 than that could change its side, and the
    difference across the kink would be that of neither side. 1e-3 leaves a margin of five.
    """
    rng = np.random.default_rng(1)
    n_runs = network.parameters.n_runs
    candidates = rng.uniform(-2, 2, (n_runs, 400, network.layers[0].parameter_shapes["weight"][0]))
    away = distance_to_kink(network, candidates) > 1e-3
    return np.stack([candidates[run, away[run]][:N_ROWS] for run in range(n_runs)])


def worst_error(network: Network) -> float:
    """Return the largest relative error of any parameter's gradient."""
    n_classes = network.parameters.shapes[list(network.parameters.shapes)[-1]][0]
    X = rows_away_from_kinks(network)
    return max(check_network(network, X, np.arange(N_ROWS) % n_classes).values())


def test_slope_of_a_square_is_the_one_worked_by_hand() -> None:
    # d/dx x**2 = 2x; the central difference ((x+h)**2 - (x-h)**2) / 2h = 2x has no error of h.
    x = np.array([3.0, -1.5])
    slopes = central_differences(lambda: float((x**2).sum()), x)
    np.testing.assert_allclose(slopes, [6.0, -3.0], rtol=1e-10)
    assert x.tolist() == [3.0, -1.5]


def test_relative_error_is_the_one_worked_by_hand() -> None:
    # |(3, 4) - (0, 0)| / (5 + 0) = 1; |(3, 4) - (3, 3)| / (5 + sqrt 18).
    assert relative_error(np.array([3.0, 4.0]), np.zeros(2)) == 1.0
    by_hand = 1 / (5 + np.sqrt(18))
    assert relative_error(np.array([3.0, 4.0]), np.array([3.0, 3.0])) == pytest.approx(by_hand)
    assert relative_error(np.zeros(2), np.zeros(2)) == 0.0


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("sizes", DEPTHS, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_every_network_equal_central_differences(
    activation: str, sizes: tuple[int, ...], n_runs: int
) -> None:
    assert worst_error(drawn_network(sizes, activation, n_runs)) <= ALLOWED


def test_large_logits_have_right_gradients_too() -> None:
    network = drawn_network((4, 5, 3), "tanh")
    # Logits of a few hundred: the loss is steep where a row is wrong and flat where it is right.
    network.parameters["layers.2.weight"][:] *= 200
    assert worst_error(network) <= ALLOWED


class Scaled(SoftmaxCrossEntropy):
    """Off by a thousandth, which passes a careless tolerance."""

    def gradient(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().gradient(logits, targets) * 1.001


class Summed(SoftmaxCrossEntropy):
    """Without the division by the batch size: the tutorial's own fault."""

    def gradient(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().gradient(logits, targets) * logits.shape[-2]


class WithoutTargets(SoftmaxCrossEntropy):
    """The probabilities alone, without the one-hot rows."""

    def gradient(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().gradient(logits, np.zeros_like(targets))


class MeanOverClasses(SoftmaxCrossEntropy):
    """Divided by the columns instead of the rows."""

    def gradient(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().gradient(logits, targets) * logits.shape[-2] / logits.shape[-1]


class Transposed(Linear):
    """``G @ weight`` instead of ``G @ weight.T``: it fits a square weight."""

    def backward(self, d_output: np.ndarray) -> np.ndarray:
        self.backward_parameters(d_output)
        return d_output @ self.weight


class WithoutBias(Linear):
    def backward_parameters(self, d_output: np.ndarray) -> None:
        super().backward_parameters(d_output)
        self._d_bias[:] = 0


class MeanBias(Linear):
    """The bias's gradient averaged over the batch, though the loss has been already."""

    def backward_parameters(self, d_output: np.ndarray) -> None:
        super().backward_parameters(d_output)
        self._d_bias /= d_output.shape[-2]


class OfItsOutput(Linear):
    """The weight's gradient from the layer's output, one layer too late."""

    def forward(self, X: np.ndarray, training: bool = False) -> np.ndarray:
        self._late = super().forward(X, training)
        return self._late

    def backward_parameters(self, d_output: np.ndarray) -> None:
        self._X_T = self._late.swapaxes(-1, -2)
        super().backward_parameters(d_output)


class OfTheNeighbour(Linear):
    """Each run gets the weight's gradient of the run beside it."""

    def backward_parameters(self, d_output: np.ndarray) -> None:
        super().backward_parameters(d_output)
        self._d_weight[:] = np.roll(self._d_weight, 1, axis=0)


class AtTheInput(Tanh):
    """The derivative ``1 - z**2`` taken at the input instead of the output."""

    def chain(self, output: np.ndarray, gradient: np.ndarray) -> None:
        super().chain(np.arctanh(output), gradient)


class TanhWithoutChain(Tanh):
    """The gradient passes as if the activation were the identity."""

    chain = Identity.chain


class ReLUWithoutChain(ReLU):
    """The gradient passes through units that were cut off."""

    chain = Identity.chain


Plant = Callable[[Network], None]


def as_loss(loss: type[SoftmaxCrossEntropy]) -> Plant:
    def plant(network: Network) -> None:
        network.loss = loss(FLOAT64)

    return plant


def as_layer(linear: type[Linear], number: int = 2) -> Plant:
    def plant(network: Network) -> None:
        network.layers[number] = linear.Settings(4).make(4, FLOAT64)
        network.bind()

    return plant


def as_activation(function: type[ReLU | Tanh]) -> Plant:
    def plant(network: Network) -> None:
        network.layers[1] = function.Settings().make(4, FLOAT64)

    return plant


def layers_out_of_order(network: Network) -> None:
    """Take the activations' derivatives one layer off: each at the other's output."""
    first, second = network.layers[1], network.layers[3]
    backward = network.backward

    def off_by_one(d_logits: np.ndarray) -> None:
        first._output, second._output = second._output, first._output
        backward(d_logits)

    network.backward = off_by_one


MUTANTS: dict[str, Plant] = {
    "scaled by 1.001": as_loss(Scaled),
    "missing 1/batch": as_loss(Summed),
    "softmax without the one-hot": as_loss(WithoutTargets),
    "mean over classes": as_loss(MeanOverClasses),
    "transposed square weight": as_layer(Transposed),
    "bias gradient dropped": as_layer(WithoutBias),
    "bias gradient averaged": as_layer(MeanBias),
    "bias gradient of the first layer dropped": as_layer(WithoutBias, 0),
    "weight gradient from the output": as_layer(OfItsOutput),
    "weight gradient of the neighbouring run": as_layer(OfTheNeighbour),
    "derivative at the input": as_activation(AtTheInput),
    "derivative left out": as_activation(TanhWithoutChain),
    "layers out of order": layers_out_of_order,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_check_finds_the_planted_fault(mutant: str) -> None:
    network = drawn_network((4, 4, 4, 3), "tanh")
    assert worst_error(network) <= ALLOWED
    MUTANTS[mutant](network)
    # The smallest of them, a factor of 1.001, gives 0.001 / 2.001 = 5e-4.
    assert worst_error(network) > 1e-4


def test_the_check_finds_a_relu_that_leaks() -> None:
    network = drawn_network((4, 4, 4, 3), "relu")
    assert worst_error(network) <= ALLOWED
    as_activation(ReLUWithoutChain)(network)
    assert worst_error(network) > 1e-4


def test_the_check_restores_the_parameters() -> None:
    network = drawn_network((4, 4, 3), "tanh")
    before = network.parameters.values.copy()
    worst_error(network)
    assert network.parameters.values.tobytes() == before.tobytes()


def test_the_check_refuses_float32() -> None:
    network = Network(mlp([2, 2]), dtype=np.float32)
    with pytest.raises(ValueError, match="a gradient check needs float64, got float32"):
        check_network(network, np.ones((1, 1, 2), np.float32), np.array([0]))


def test_both_ways_of_training_are_among_the_networks_checked() -> None:
    assert all(supports(Network(mlp(sizes)), N_ROWS) for sizes in SMALL)
    assert not any(supports(Network(mlp(sizes)), N_ROWS) for sizes in LARGE)


@pytest.mark.parametrize(("way", "sizes"), [(SideBySide, SMALL[2]), (LayerByLayer, LARGE[2])])
def test_a_fault_in_the_way_of_training_alone_is_found(
    way: type[LayerByLayer | SideBySide], sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = way.__call__

    def off_by_a_thousandth(self: LayerByLayer | SideBySide, rows: np.ndarray) -> None:
        right(self, rows)
        self.parameters.gradients *= 1.001

    monkeypatch.setattr(way, "__call__", off_by_a_thousandth)
    assert worst_error(drawn_network(sizes, "tanh")) > 1e-4
