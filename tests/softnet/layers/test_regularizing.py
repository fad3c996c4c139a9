"""Dropout, normalizations, residual blocks, and networks that are made of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    NORMALIZATIONS,
    SGD,
    Adam,
    BatchNorm,
    Dropout,
    Embedding,
    Examples,
    Layer,
    LayerNorm,
    LayerSettings,
    Linear,
    Network,
    NetworkSettings,
    Periodic,
    PiecewiseLinear,
    ReLU,
    Residual,
    RunSettings,
    Scale,
    Sequential,
    Sigmoid,
    StackSettings,
    Tanh,
    Training,
    check_network,
    mlp,
    stream,
)
from softnet.stack.randomness import Noise

DTYPES = ["float32", "float64"]
Array = np.ndarray


def bound(settings: LayerSettings, in_features: int, n_runs: int = 1) -> Layer:
    """Return a layer that is ready, with the parameters it begins with."""
    layer = settings.make(in_features, np.dtype("float64"))
    sizes = [
        sum(math.prod(shape) for shape in shapes.values())
        for shapes in (layer.parameter_shapes, layer.statistic_shapes)
    ]
    values, statistics = (np.zeros((n_runs, size)) for size in sizes)
    layer.bind(values, np.zeros_like(values), statistics)
    layer.use_noise(Noise(range(n_runs)))
    layer.initialize([], [])
    return layer


def test_batch_norm_equals_that_worked_by_hand() -> None:
    # One feature, rows 1, 3 and 5: mean 3, variance 8/3, which epsilon makes 4, so -2/2, 0 and 2/2;
    # times 10, plus 1. Running: 0.5 * 0 + 0.5 * 3 and 0.5 * 1 + 0.5 * (8/3 * 3/2).
    layer = bound(BatchNorm.Settings(momentum=0.5, epsilon=4 / 3), 1)
    layer.values["weight"][:], layer.values["bias"][:] = 10.0, 1.0
    output = layer.forward(np.array([[[1.0], [3.0], [5.0]]]), training=True)
    np.testing.assert_allclose(output, [[[-9.0], [1.0], [11.0]]], rtol=1e-15)
    np.testing.assert_allclose(layer.statistics["mean"], [[1.5]], rtol=1e-15)
    np.testing.assert_allclose(layer.statistics["variance"], [[2.5]], rtol=1e-15)
    # 10/2 * (d - 1 - z * mean(d * z)), where the mean of d is 1 and mean(d * z) is -1.
    d_input = layer.backward(np.array([[[3.0], [0.0], [0.0]]]))
    np.testing.assert_allclose(d_input, [[[5.0], [-5.0], [0.0]]], rtol=1e-15, atol=1e-14)
    assert layer.gradients["weight"].tolist() == [[-3.0]]  # -1 * 3
    assert layer.gradients["bias"].tolist() == [[3.0]]
    # In evaluation (x - 1.5) / sqrt(2.5 + 4/3) * 10 + 1, whatever else is in the batch.
    evaluated = layer.forward(np.array([[[1.5]]]))
    assert evaluated.tolist() == [[[1.0]]]


def test_layer_norm_equals_that_worked_by_hand() -> None:
    # The row (1, 3, 5) becomes (-1, 0, 1), as above, with a weight and a bias for each feature.
    layer = bound(LayerNorm.Settings(epsilon=4 / 3), 3)
    layer.values["weight"][:], layer.values["bias"][:] = [[10.0, 2.0, 2.0]], [[1.0, 0.0, 0.0]]
    for training in (False, True):
        output = layer.forward(np.array([[[1.0, 3.0, 5.0]]]), training)
        np.testing.assert_allclose(output, [[[-9.0, 0.0, 2.0]]], rtol=1e-15, atol=1e-15)
    # 1/2 * (e - 10 - z * mean(e * z)), where e is (30, 0, 0), and mean(e * z) is -10.
    d_input = layer.backward(np.array([[[3.0, 0.0, 0.0]]]))
    np.testing.assert_allclose(d_input, [[[5.0, -5.0, 0.0]]], rtol=1e-15, atol=1e-14)
    assert layer.gradients["weight"].tolist() == [[-3.0, 0.0, 0.0]]
    assert layer.gradients["bias"].tolist() == [[3.0, 0.0, 0.0]]


def test_dropout_keeps_what_the_numbers_of_its_stream_say() -> None:
    # A quarter of 65,536 is 16,384: what is drawn below it goes, the rest is divided by 3/4.
    raw = stream(0, "dropout").bit_generator.random_raw(2)
    numbers = [int(word) >> shift & 0xFFFF for word in raw for shift in (0, 16, 32, 48)][:6]
    expected = [0.0 if number < 16384 else 3.0 / 0.75 for number in numbers]
    layer = bound(Dropout.Settings(0.25), 3)
    X = np.full((1, 2, 3), 3.0)
    np.testing.assert_allclose(layer.forward(X, training=True).ravel(), expected, rtol=1e-15)
    np.testing.assert_allclose(layer.backward(X.copy()).ravel(), expected, rtol=1e-15)


def test_dropout_is_off_in_evaluation_and_takes_no_number_there() -> None:
    layer, X = bound(Dropout.Settings(0.5), 3), np.ones((1, 2, 3))
    assert layer.forward(X) is X
    assert layer.noise.n_words == 0


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "layers",
    [
        (ReLU.Settings(),),
        (Dropout.Settings(0.5), ReLU.Settings()),
        (Dropout.Settings(0.5), Dropout.Settings(0.5), ReLU.Settings()),
        (Residual.Settings((Dropout.Settings(0.5), ReLU.Settings())),),
    ],
    ids=["alone", "behind dropout", "behind two", "in a block"],
)
def test_no_activation_overwrites_the_callers_rows(
    layers: tuple[LayerSettings, ...], training: bool
) -> None:
    network, X = Network(NetworkSettings(2, layers)), np.array([[[-1.0, 2.0]]])
    network.forward(X, training)
    assert X.tolist() == [[[-1.0, 2.0]]]


@pytest.mark.parametrize("rate", [0.15, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    output = bound(Dropout.Settings(rate), 1000).forward(np.ones((1, 100, 1000)), training=True)
    # Of 100,000 numbers the share that is dropped has a deviation of at most 0.0016.
    assert abs(float((output == 0).mean()) - rate) < 5 * math.sqrt(rate * (1 - rate) / 1e5)
    assert float(output.mean()) == pytest.approx(1, abs=5 * math.sqrt(rate / (1 - rate) / 1e5))


def test_a_residual_block_adds_its_input() -> None:
    # weight 2, bias 1: x + tanh(2 x + 1); its derivative 1 + 2 (1 - tanh**2).
    layer = bound(Residual.Settings((Linear.Settings(1), Tanh.Settings())), 1)
    layer.values["0.weight"][:], layer.values["0.bias"][:] = 2.0, 1.0
    X, slope = np.array([[[0.5]]]), 1 - math.tanh(2) ** 2
    assert layer.forward(X, training=True).tolist() == [[[0.5 + math.tanh(2)]]]
    d_input = layer.backward(np.array([[[3.0]]]))
    assert d_input[0, 0, 0] == pytest.approx(3 + 3 * 2 * slope, rel=1e-14)
    assert layer.gradients["0.weight"][0, 0, 0] == pytest.approx(3 * 0.5 * slope, rel=1e-14)
    assert X.tolist() == [[[0.5]]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout.Settings(1.0), r"rate: must be a number from 0 up to, but not, 1, got 1"),
        (lambda: BatchNorm.Settings(epsilon=0.0), "epsilon: must be a finite number above 0"),
        (lambda: Residual.Settings(()), "layers: must be at least one layer"),
        (
            lambda: Residual.Settings((Linear.Settings(3),)).make(2, np.dtype("float64")),
            "layers: must be of 2 outputs, as inputs, got 3",
        ),
        (lambda: StackSettings(mlp([1, 2]), 1, 1, 1, averaging=1.0), "averaging: must be a number"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_multilayer_perceptron_is_made_of_what_is_set() -> None:
    settings = mlp([3, 4, 4, 2], "tanh", dropout=0.2, normalization="layer", residual=True)
    block = (Linear.Settings(4), LayerNorm.Settings(), Tanh.Settings(), Dropout.Settings(0.2))
    assert settings.layers == (*block, Residual.Settings(block), Linear.Settings(2))
    assert mlp([3, 4, 2]).layers == mlp([3, 4, 2], residual=True).layers


def test_a_first_residual_block_is_as_wide_as_the_columns_that_embeddings_make() -> None:
    # Of 4 features one makes 3 more, 7; then a group of two words 8 in their place, 13.
    inputs = [Periodic.Settings((0,), size=3), Embedding.Settings(((1, 3),), size=8)]
    for width, n_blocks in ((4, 0), (7, 0), (13, 1)):
        network = mlp([4, width, 2], residual=True, inputs=inputs)
        assert sum(isinstance(one, Residual.Settings) for one in network.layers) == n_blocks
        assert Network(network).predict(np.ones((3, 4))).shape == (1, 3, 2)


# First layers, nested blocks, activations that keep their input, and all at once.
class Pass(Layer):
    """Hands its rows through."""

    def forward(self, X: Array, training: bool = False) -> Array:  # noqa: ARG002  (what every layer takes)
        return X

    def backward(self, d_output: Array) -> Array:
        return d_output


NETWORKS: dict[str, NetworkSettings] = {
    "dropout": mlp([4, 6, 3], dropout=0.3),
    "first dropout": NetworkSettings(4, (Dropout.Settings(0.3), Linear.Settings(3))),
    "batch norm": mlp([4, 6, 3], "tanh", normalization="batch"),
    "first batch norm": NetworkSettings(4, (BatchNorm.Settings(), Linear.Settings(3))),
    "layer norm": mlp([4, 6, 3], "gelu", normalization="layer"),
    "first layer norm": NetworkSettings(4, (LayerNorm.Settings(), Linear.Settings(3))),
    "residual": mlp([4, 4, 4, 3], "silu", residual=True),
    "two activations": NetworkSettings(
        4,
        (
            *(Tanh.Settings(), Sigmoid.Settings(), Linear.Settings(6)),
            *(Tanh.Settings(), Sigmoid.Settings(), Linear.Settings(3)),
        ),
    ),
    "handed through": NetworkSettings(
        4,
        (
            *(Linear.Settings(6), Sequential.Settings((Tanh.Settings(), Pass.Settings()))),
            *(Pass.Settings(), Sigmoid.Settings(), Linear.Settings(3)),
        ),
    ),
    "nested": NetworkSettings(
        4,
        (
            Residual.Settings((Tanh.Settings(), Residual.Settings((Linear.Settings(4),)))),
            Linear.Settings(3),
        ),
    ),
    "scale": mlp([4, 6, 3], "tanh", inputs=[Scale.Settings()]),
    "embedding": mlp([4, 6, 3], "tanh", inputs=[Scale.Settings(), Embedding.Settings(((1, 3),))]),
    "words": mlp([4, 6, 3], "tanh", inputs=[Embedding.Settings(((0, 2), (3, 4)), size=3)]),
    "periodic": mlp([4, 6, 3], "tanh", inputs=[Periodic.Settings((0, 2))]),
    "piecewise": mlp([4, 6, 3], "tanh", inputs=[PiecewiseLinear.Settings((3, 1), n_codes=3)]),
    "behind": mlp(
        [4, 6, 3],
        "tanh",
        inputs=[Scale.Settings(), Periodic.Settings((1, 2)), Embedding.Settings(((0, 1),))],
    ),
    "shared": mlp([4, 6, 6, 3], "tanh", n_members=3, shares_weights=True),
    "shared and dropped": mlp(
        [4, 6, 6, 3],
        "tanh",
        dropout=0.2,
        normalization="layer",
        residual=True,
        inputs=[Periodic.Settings((0,))],
        n_members=2,
        shares_weights=True,
    ),
    "all": mlp([4, 6, 6, 3], "mish", dropout=0.2, normalization="batch", residual=True),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_equal_central_differences(network: str) -> None:
    one, rng = Network(NETWORKS[network], n_runs=2), np.random.default_rng(0)
    one.parameters.values[:] = 0.7 * rng.standard_normal(one.parameters.values.shape)
    X, y = rng.standard_normal((2, 7, 4)), rng.integers(3, size=7)
    errors = check_network(one, X, y)
    assert max(errors.values()) < 1e-7


def trained(network: str, dtype: str, n_runs: int, averaging: float | None = None) -> Training:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((23, 4)), rng.integers(3, size=23)
    stack = StackSettings(
        NETWORKS[network], 40, 5, 10, optimizer="adam", dtype=dtype, averaging=averaging
    )
    runs = [RunSettings(seed, Adam.Settings(0.01 * (seed + 1))) for seed in range(n_runs)]
    training = Training(stack, runs, {"train": Examples(X, y), "val": Examples(X[:9], y[:9])})
    list(training)
    return training


@pytest.mark.parametrize("averaging", [None, 0.9])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_alone_equals_in_a_stack_by_bytes(
    network: str, dtype: str, averaging: float | None
) -> None:
    alone, stacked = (trained(network, dtype, n_runs, averaging) for n_runs in (1, 3))
    assert alone.values[0].tobytes() == stacked.values[0].tobytes()
    assert alone.statistics[0].tobytes() == stacked.statistics[0].tobytes()
    assert alone.values.dtype == dtype
    rows = np.random.default_rng(2).standard_normal((5, 4))
    predicted = alone.trained_network().predict(rows)[0]
    assert predicted.tobytes() == stacked.trained_network().predict(rows)[0].tobytes()
    rebuilt = Network.from_weights(alone.trained_network().weights(), NETWORKS[network])
    assert rebuilt.predict(rows)[0].tobytes() == predicted.tobytes()


def test_runs_that_differ_in_their_seed_drop_other_numbers() -> None:
    both = trained("dropout", "float64", 2)
    again = trained("dropout", "float64", 2)
    assert both.values.tobytes() == again.values.tobytes()
    assert both.values[0].tobytes() != both.values[1].tobytes()


@pytest.mark.parametrize("sizes", [(2, 2), (4, 40, 2)])  # trained side by side, and by layers
def test_the_average_of_the_weights_is_evaluated_and_kept(sizes: tuple[int, ...]) -> None:
    # After each step a share of 3/4 stays: the weights of every step, recorded, give the average.
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((8, sizes[0])), rng.integers(2, size=8)
    examples, run = {"train": Examples(X, y)}, RunSettings(0, SGD.Settings(0.5))
    plain = Training(StackSettings(mlp(sizes), 6, 4, 1), [run], examples)
    averaged = Training(StackSettings(mlp(sizes), 6, 4, 3, averaging=0.75), [run], examples)
    expected = plain.values.copy()
    for _ in plain:
        expected = 0.75 * expected + 0.25 * plain.network.parameters.values
    records = list(averaged)
    np.testing.assert_allclose(averaged.values, expected, rtol=1e-13)
    network = averaged.trained_network()
    loss = network.loss.row_losses(network.forward(X[None]), y).mean()
    assert records[-1].metrics["train/loss"][0] == pytest.approx(loss, rel=1e-13)


def test_every_normalization_and_activation_makes_a_network() -> None:
    for normalization in NORMALIZATIONS:
        for activation in ACTIVATIONS:
            network = Network(mlp([3, 4, 2], activation, normalization=normalization))
            assert network.predict(np.ones((2, 3))).shape == (1, 2, 2)


@pytest.mark.parametrize("first", [BatchNorm.Settings(), LayerNorm.Settings(), Scale.Settings()])
def test_runs_may_share_the_rows_that_a_first_layer_gets(first: LayerSettings) -> None:
    one, rng = Network(mlp([3, 4, 2], "tanh", inputs=[first]), 2), np.random.default_rng(0)
    one.parameters.values[:] = 0.7 * rng.standard_normal(one.parameters.values.shape)
    X, y = rng.standard_normal((1, 5, 3)), rng.integers(2, size=5)
    assert max(check_network(one, X, y).values()) < 1e-7
