"""A layer, a loss and an optimizer from outside: one class and one line each, and they train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from softnet import (
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    SGD,
    Examples,
    Initializer,
    Layer,
    LayerSettings,
    Linear,
    Loss,
    LossSettings,
    Network,
    NetworkSettings,
    Optimizer,
    OptimizerSettings,
    RunSettings,
    StackSettings,
    Tanh,
    Training,
    check_network,
    stream,
)

Array = NDArray[Any]


class Scale(Layer):
    """Multiplies each feature by a learned factor, and counts the batches that it has seen."""

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        start: float = 1.0

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype[Any]) -> None:
        super().__init__(settings, in_features, dtype)
        self.start = settings.start
        self.parameter_shapes = {"factor": (in_features,)}
        self.statistic_shapes = {"n_batches": (1,)}

    def initialize(
        self,
        rngs: Sequence[np.random.Generator],  # noqa: ARG002  (as the base has it)
        initializers: Sequence[Initializer],  # noqa: ARG002  (as the base has it)
    ) -> None:
        self.values["factor"][:] = self.start

    def forward(self, X: Array, training: bool = False) -> Array:
        if training:
            self.statistics["n_batches"] += 1
        self._X = X
        output: Array = X * self.values["factor"][:, None]
        return output

    def backward(self, d_output: Array) -> Array:
        self.gradients["factor"][:] = (d_output * self._X).sum(axis=-2)
        d_input: Array = d_output * self.values["factor"][:, None]
        return d_input


class HalfSquares(Loss):
    """Half of the squared difference, summed over the outputs."""

    def targets(self, y: Array, n_outputs: int) -> Array:
        return y.reshape(len(y), n_outputs).astype(self.dtype)

    def row_losses(self, outputs: Array, y: Array) -> Array:
        differences = outputs - self.targets(y, outputs.shape[-1])
        losses: Array = (differences**2).sum(axis=-1) / 2
        return losses

    def gradient(self, outputs: Array, targets: Array) -> Array:
        gradient: Array = (outputs - targets) / outputs.dtype.type(outputs.shape[-2])
        return gradient

    def predictions(self, outputs: Array) -> Array:
        return outputs.copy()


class SignSGD(Optimizer):
    """Steps of one size, along the signs of the gradient."""

    def step(self, learning_rates: Sequence[float], t: int) -> None:  # noqa: ARG002  (as the base has it)
        self.parameters.values -= self.as_column(learning_rates) * np.sign(self.clip_and_decay())


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    LAYERS["scale"], LOSSES["half_squares"], OPTIMIZERS["sign_sgd"] = Scale, HalfSquares, SignSGD
    yield
    del LAYERS["scale"], LOSSES["half_squares"], OPTIMIZERS["sign_sgd"]


CLASSES = NetworkSettings(
    3, (Linear.Settings(6), Tanh.Settings(), Scale.Settings(start=0.5), Linear.Settings(2))
)
QUANTITIES = NetworkSettings(3, (Linear.Settings(6), Tanh.Settings(), Linear.Settings(1)))


def with_loss(network: NetworkSettings, loss: str) -> NetworkSettings:
    settings: LossSettings = LOSSES[loss].Settings()
    return NetworkSettings(network.in_features, network.layers, settings)


def rows(loss: str) -> Examples:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    slope = X @ np.array([1.0, -2.0, 0.5])
    return Examples(X, slope if loss == "half_squares" else (slope > 0).astype(np.intp))


def train(
    network: NetworkSettings, optimizer: str, dtype: str, seeds: Sequence[int]
) -> tuple[Training, list[float]]:
    loss = "half_squares" if isinstance(network.loss, HalfSquares.Settings) else "classes"
    settings = StackSettings(
        network, 60, batch_size=7, evaluate_every=20, optimizer=optimizer, dtype=dtype, metrics=()
    )
    own: OptimizerSettings = OPTIMIZERS[optimizer].Settings(learning_rate=0.02)
    training = Training(settings, [RunSettings(seed, own) for seed in seeds], {"train": rows(loss)})
    return training, [float(record.metrics["train/loss"][0]) for record in training]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("network", "loss", "optimizer"),
    [
        (CLASSES, "softmax_cross_entropy", "sgd"),
        (QUANTITIES, "half_squares", "adam"),
        (QUANTITIES, "softmax_cross_entropy", "sign_sgd"),
        (CLASSES, "softmax_cross_entropy", "sign_sgd"),
    ],
)
def test_what_is_registered_from_outside_learns_and_is_the_same_alone_and_in_a_stack(
    network: NetworkSettings, loss: str, optimizer: str, dtype: str
) -> None:
    if loss == "softmax_cross_entropy" and network is QUANTITIES:
        network = NetworkSettings(3, (*QUANTITIES.layers[:-1], Linear.Settings(2)))
    settings = with_loss(network, loss)
    stack, _ = train(settings, optimizer, dtype, [3, 1, 2])
    alone, losses = train(settings, optimizer, dtype, [1])
    assert losses[-1] < losses[0]
    assert alone.values[0].tobytes() == stack.values[1].tobytes()
    trained = [training.trained_network() for training in (alone, stack)]
    assert list(trained[0].weights(0)) == list(settings.weight_shapes)
    for name, array in trained[0].weights(0).items():
        assert array.tobytes() == trained[1].weights(1)[name].tobytes()


def test_what_is_kept_beside_the_parameters_is_no_parameter_and_travels_with_the_weights() -> None:
    training, _ = train(CLASSES, "sgd", "float64", [0, 1])
    network = training.trained_network()
    assert "layers.2.n_batches" not in network.parameters.shapes
    assert [network.weights(run)["layers.2.n_batches"].tolist() for run in (0, 1)] == [[60]] * 2
    again = Network.from_weights(network.weights(1), CLASSES)
    assert again.weights()["layers.2.n_batches"].tolist() == [60]
    saved = training.state()
    resumed = Training(training.settings, training.runs, training.examples)
    resumed.restore(saved)
    assert resumed.trained_network().weights(1)["layers.2.n_batches"].tolist() == [60]


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "half_squares"])
def test_gradients_of_a_layer_and_a_loss_from_outside_are_central_differences(loss: str) -> None:
    layers = (Scale.Settings(start=0.7), Linear.Settings(4), Tanh.Settings(), Linear.Settings(1))
    if loss == "softmax_cross_entropy":
        layers = (*layers[:-1], Linear.Settings(2))
    settings = NetworkSettings(3, layers, LOSSES[loss].Settings())
    network = Network(settings)
    network.initialize([stream(0, "init")], [RunSettings(0, SGD.Settings(0.1)).initializer])
    # A correct network reaches 1e-10 at h = 1e-5; an error of a thousandth gives 5e-4.
    examples = rows(loss)
    errors = check_network(network, examples.X[None, :9], examples.y[:9])
    assert max(errors.values()) < 1e-7
