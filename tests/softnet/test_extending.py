"""A layer, a loss, an optimizer, ... from outside: one class and one line each."""
# ruff: noqa: ARG002  (each method takes what its base says, whether it needs it or not)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    INITIALIZERS,
    LAYERS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SCHEDULES,
    Activation,
    EarlyStopping,
    Examples,
    Initializer,
    Layer,
    LayerSettings,
    Linear,
    Loss,
    LossSettings,
    Metric,
    Network,
    NetworkSettings,
    Optimizer,
    Record,
    RunSettings,
    SoftmaxCrossEntropy,
    StackSettings,
    Training,
    Xavier,
    check_network,
    mlp,
)
from softnet.training.small_networks import supports

if TYPE_CHECKING:
    from tests.softnet.conftest import Story

Tell = Callable[[Training, Iterable[Record]], "list[Story]"]
Array = np.ndarray


class Scaling(Layer):
    """Rows less their running mean, times a learned scale: parameters and a statistic.

    In training it takes the mean of the batch, through which no gradient goes back: it is exact
    only where batches have the same mean, as in `check_network`.
    """

    @dataclass(frozen=True)
    class Settings(LayerSettings):
        share: float = 0.5

    def __init__(self, settings: Settings, in_features: int, dtype: np.dtype) -> None:
        super().__init__(settings, in_features, dtype)
        self.parameter_shapes = {"scale": (in_features,)}
        self.statistic_shapes = {"mean": (in_features,)}

    def initialize(
        self, rngs: Sequence[np.random.Generator], initializers: Sequence[Initializer]
    ) -> None:
        self.values["scale"][:] = 1

    def forward(self, X: Array, training: bool = False) -> Array:
        mean = self.statistics["mean"]
        if training:
            mean += self.settings.share * (X.mean(axis=1) - mean)
            self.centred = X
        else:
            self.centred = X - mean[:, None]
        return self.centred * self.values["scale"][:, None]

    def backward(self, d_output: Array) -> Array:
        self.gradients["scale"][:] = (self.centred * d_output).sum(axis=1)
        return d_output * self.values["scale"][:, None]


class Softplus(Activation):
    """log(1 + exp(z)); derivative 1 - exp(-output)."""

    def value(self, z: Array) -> None:
        np.logaddexp(z, 0, out=z)

    def chain(self, output: Array, gradient: Array) -> None:
        gradient *= -np.expm1(-output)


class SquaredError(Loss):
    """Half the squared distance, of targets that are numbers, one or more for each row."""

    @dataclass(frozen=True)
    class Settings(LossSettings):
        factor: float = 0.5

    def targets(self, y: Array, n_outputs: int) -> Array:
        return y.reshape(len(y), n_outputs).astype(self.dtype)

    def row_losses(self, outputs: Array, y: Array) -> Array:
        errors = outputs - self.targets(y, outputs.shape[-1])
        return self.settings.factor * (errors**2).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return 2 * self.settings.factor * (outputs - targets) / outputs.shape[-2]

    def predictions(self, outputs: Array) -> Array:
        return outputs.copy()


class SignSGD(Optimizer):
    def step(self, learning_rates: Sequence[float], t: int) -> None:
        signs = np.sign(self.clip_and_decay())
        self.parameters.values -= self.as_column(learning_rates) * signs


class Constants(Initializer):
    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        return np.full(shape, 0.1)


class WorstRow(Metric):
    """The largest loss of any row: no mean."""

    higher_is_better = False

    def of_rows(self, loss: Loss, outputs: Array, y: Array) -> Array:
        return loss.row_losses(outputs, y)

    def total(self, values: Array, y: Array, shares: Array | None = None) -> Array:
        return values.max(axis=-1).astype(np.float64)


@dataclass(frozen=True)
class Linearly:
    """The rate falls in a line to nothing."""

    warmup_steps: int = 0

    def __call__(self, step: int, n_steps: int) -> float:
        return 1 - step / n_steps


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register them, a line each; and leave the registries as they were."""
    monkeypatch.setitem(LAYERS, "scaling", Scaling)
    monkeypatch.setitem(ACTIVATIONS, "softplus", Softplus)
    monkeypatch.setitem(LOSSES, "squared_error", SquaredError)
    monkeypatch.setitem(OPTIMIZERS, "sign_sgd", SignSGD)
    monkeypatch.setitem(INITIALIZERS, "constants", Constants)
    monkeypatch.setitem(METRICS, "worst_row", WorstRow)
    monkeypatch.setitem(SCHEDULES, "linearly", Linearly)


def hidden(*names: str) -> tuple[LayerSettings, ...]:
    """Two linear layers with these layers between them."""
    between = tuple(LAYERS[name].Settings() for name in names)
    return (Linear.Settings(6), *between, Linear.Settings(2))


# What is trained, with whole numbers or with fractions as what is known of a row.
NETWORKS: dict[str, Callable[[], NetworkSettings]] = {
    "layer": lambda: NetworkSettings(4, hidden("tanh", "scaling")),
    "first layer": lambda: NetworkSettings(4, (LAYERS["scaling"].Settings(), *hidden("relu"))),
    "activation": lambda: mlp([4, 6, 2], "softplus"),
    "first activation": lambda: NetworkSettings(4, (LAYERS["tanh"].Settings(), Linear.Settings(2))),
    "large activation": lambda: mlp([4, 60, 2], "softplus"),
    "loss": lambda: NetworkSettings(
        4, hidden("tanh"), LOSSES["squared_error"].Settings(factor=1.0)
    ),
}
IS_SMALL = {"activation"}


def examples(settings: NetworkSettings, n_samples: int, seed: int = 0) -> Examples:
    rng = np.random.default_rng([seed, n_samples])
    X = rng.standard_normal((n_samples, settings.in_features))
    y = X[:, :2] * [1.0, -0.5] + 0.1 * rng.standard_normal((n_samples, 2))
    is_classified = isinstance(settings.loss, SoftmaxCrossEntropy.Settings)
    return Examples(X, y.argmax(axis=1) if is_classified else y)


def training(settings: NetworkSettings, dtype: str, optimizer: str, n_runs: int) -> Training:
    stack = StackSettings(
        settings, 30, 5, 6, optimizer=optimizer, dtype=dtype, metrics=("worst_row",)
    )
    rules = [None, EarlyStopping("val/worst_row", patience=1), None]
    runs = [
        RunSettings(
            seed,
            OPTIMIZERS[optimizer].Settings(0.02 * (seed + 1), weight_decay=0.01 * seed),
            SCHEDULES["linearly"](),
            Constants(0.3) if seed == 1 else Xavier(),
            rules[seed],
        )
        for seed in range(n_runs)
    ]
    parts = {"train": examples(settings, 23), "val": examples(settings, 9, seed=1)}
    return Training(stack, runs, parts)


@pytest.mark.parametrize("optimizer", ["sgd", "sign_sgd"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_what_was_registered_trains_and_alone_equals_in_a_stack_by_bytes(
    network: str, dtype: str, optimizer: str, stories: Tell
) -> None:
    settings = NETWORKS[network]()

    def told(n_runs: int) -> tuple[list[Story], list[Mapping[str, Array]]]:
        one = training(settings, dtype, optimizer, n_runs)
        left = stories(one, one)
        trained = one.trained_network()
        return left, [trained.weights(run) for run in range(n_runs)]

    (alone,), (weights,) = told(1)
    stacked, all_weights = told(3)
    assert stacked[0] == alone
    for name, array in weights.items():
        assert array.dtype == dtype
        assert array.tobytes() == all_weights[0][name].tobytes()
    one = training(settings, dtype, optimizer, 1)
    losses = [record.metrics["train/loss"][0] for record in one]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_its_gradients_are_checked_in_both_ways_of_training(network: str) -> None:
    settings = NETWORKS[network]()
    one = Network(settings, n_runs=2)
    assert supports(one, 5) == (network in IS_SMALL)
    rng = np.random.default_rng(5)
    one.parameters.values[:] = 0.7 * rng.standard_normal(one.parameters.values.shape)
    rows = examples(settings, 5)
    X = np.stack([rows.X, rows.X[::-1]])
    before = X.copy()
    assert max(check_network(one, X, rows.y).values()) < 1e-7
    assert X.tobytes() == before.tobytes()


def test_statistics_are_weights_and_survive_saving() -> None:
    settings = NETWORKS["layer"]()
    whole = training(settings, "float64", "sgd", 3)
    records = iter(whole)
    next(records)
    state = whole.state()
    resumed = training(settings, "float64", "sgd", 3)
    resumed.restore(state)
    list(records)
    list(resumed)
    trained, again = whole.trained_network(), resumed.trained_network()
    assert list(settings.weight_shapes)[-1] == "layers.2.mean"
    for run in range(3):
        weights = trained.weights(run)
        assert {name: array.shape for name, array in weights.items()} == settings.weight_shapes
        assert weights["layers.2.mean"].any()
        for name, array in again.weights(run).items():
            assert array.tobytes() == weights[name].tobytes()
        rebuilt = Network.from_weights(weights, settings)
        rows = examples(settings, 9).X
        assert rebuilt.predict(rows)[0].tobytes() == trained.predict(rows)[run].tobytes()


def test_a_plain_network_has_no_statistics() -> None:
    network = Network(mlp([4, 6, 2]), n_runs=3)
    assert network.statistics.values.shape == (3, 0)
    assert network.settings.statistic_shapes == {}


def test_settings_say_what_they_are_of() -> None:
    assert repr(LAYERS["softplus"].Settings()) == "Softplus.Settings()"
    assert LAYERS["softplus"].Settings() != LAYERS["relu"].Settings()
    assert isinstance(LAYERS["scaling"].Settings(0.1).make(4, np.dtype("float64")), Scaling)


def test_a_network_needs_a_layer_and_features() -> None:
    with pytest.raises(ValueError, match="layers: must be at least one layer"):
        NetworkSettings(4, ())
    with pytest.raises(ValueError, match="out_features: must be a whole number, 1 or above, got 0"):
        mlp([4, 0])


def test_the_layer_of_the_page_stands_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "your_own_layer.md").read_text("utf-8")
    scope: dict[str, object] = {}
    monkeypatch.setitem(LAYERS, "gain", LAYERS["scale"])
    for block in page.split("```python\n")[1:]:
        exec(block.partition("```")[0], scope)  # noqa: S102  (our own page)
    assert len(scope["errors"]) == 6  # of two gains, and two weights and biases
