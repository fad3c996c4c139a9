"""A stack of networks: layers in sequence."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from softnet import Linear, Network, NetworkSettings, Normal, mlp, one_hot, stream

DTYPES = ["float32", "float64"]

# A ReLU network 2-2-2:  hidden = relu(X @ | 1 -1 | + (0, 1)),  logits = hidden @ | 1 0 | + (0, -1)
#                                          | 2  1 |                               | 0 3 |
WEIGHTS = {
    "layers.0.weight": np.array([[1.0, -1.0], [2.0, 1.0]]),
    "layers.0.bias": np.array([0.0, 1.0]),
    "layers.2.weight": np.array([[1.0, 0.0], [0.0, 3.0]]),
    "layers.2.bias": np.array([0.0, -1.0]),
}
# Row (1, 1): relu(3, 0 + 1) = (3, 1), logits (3, 2). Row (-1, 0): relu(-1, 2) = (0, 2), (0, 5).
X = np.array([[[1.0, 1.0], [-1.0, 0.0]]])
LOGITS = [[[3.0, 2.0], [0.0, 5.0]]]


def random_stack(sizes: list[int], n_runs: int, dtype: str = "float64") -> Network:
    network = Network(mlp(sizes, "tanh"), n_runs, dtype)
    rngs = [stream(seed, "init") for seed in range(n_runs)]
    network.initialize(rngs, [Normal()] * n_runs)
    return network


def test_logits_equal_those_worked_by_hand() -> None:
    assert Network.from_weights(WEIGHTS, mlp([2, 2, 2])).forward(X).tolist() == LOGITS


def test_probabilities_equal_those_worked_by_hand() -> None:
    # Two classes: 1 / (1 + exp(-difference)), of differences 1 and -5.
    first = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(5))]
    probabilities = Network.from_weights(WEIGHTS, mlp([2, 2, 2])).predict(X[0])
    np.testing.assert_allclose(probabilities[0, :, 0], first, rtol=1e-15)


def test_gradients_equal_those_worked_by_hand() -> None:
    network = Network.from_weights(WEIGHTS, mlp([2, 2, 2]))
    network.forward(X)
    # G = (1, 0) and (0, 1) at the logits. d_weight2 = hidden.T @ G = | 3 0 |  d_bias2 = (1, 1)
    #                                                                 | 1 2 |
    # At the hidden units: G @ weight2.T = (1, 0) and (0, 3); relu lets both live units through.
    # d_weight0 = X.T @ that = | 1*1-1*0  1*0-1*3 | = | 1 -3 |, d_bias0 = (1, 3)
    #                          | 1*1+0*0  1*0+0*3 |   | 1  0 |
    network.backward(np.array([[[1.0, 0.0], [0.0, 1.0]]]))
    assert network.parameters.gradients.tolist() == [[1, -3, 1, 0, 1, 3, 3, 0, 1, 2, 1, 1]]


def test_weights_have_the_names_of_a_sequence_that_counts_activations() -> None:
    network = Network(mlp([4, 5, 6, 2]))
    shapes = {name: array.shape for name, array in network.weights().items()}
    assert shapes == {
        "layers.0.weight": (4, 5),
        "layers.0.bias": (5,),
        "layers.2.weight": (5, 6),
        "layers.2.bias": (6,),
        "layers.4.weight": (6, 2),
        "layers.4.bias": (2,),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[4, 2], [3, 1], [2, 3, 4, 5, 6, 7, 8, 2]], ids=str)
def test_a_network_rebuilt_from_weights_predicts_the_same_bytes(
    sizes: list[int], dtype: str
) -> None:
    stack = random_stack(sizes, 3, dtype)
    rows = np.random.default_rng(0).standard_normal((6, sizes[0]))
    stacked = stack.predict(rows)
    for run in range(3):
        rebuilt = Network.from_weights(stack.weights(run), stack.settings)
        assert rebuilt.dtype == dtype
        assert rebuilt.predict(rows)[0].tobytes() == stacked[run].tobytes()


def test_networks_stacked_from_weights_predict_the_bytes_that_they_have_alone() -> None:
    for settings in (mlp([2, 3, 2], normalization="batch"), mlp([2, 3, 2], n_members=2)):
        made = Network(settings, n_runs=3)
        made.parameters.values[:] = np.random.default_rng(0).normal(
            size=made.parameters.values.shape
        )
        stack = Network.stacked([made.weights(run) for run in (2, 0)], settings)
        assert stack.predict(X[0]).tobytes() == made.predict(X[0])[[2, 0]].tobytes()


def test_weights_are_a_copy() -> None:
    network = Network.from_weights(WEIGHTS, mlp([2, 2, 2]))
    network.weights()["layers.0.bias"][:] = 9
    assert network.weights()["layers.0.bias"].tolist() == [0.0, 1.0]


def test_rows_may_be_the_same_for_all_runs_or_of_each_run() -> None:
    stack = random_stack([3, 4, 2], 5)
    rows = np.random.default_rng(1).standard_normal((6, 3))
    same, of_each = stack.predict(rows), stack.predict(np.stack([rows] * 5))
    assert same.shape == (5, 6, 2)
    assert same.tobytes() == of_each.tobytes()


def test_probabilities_outlive_the_next_prediction() -> None:
    stack = random_stack([3, 2], 1)
    first = stack.predict(np.ones((2, 3)))
    kept = first.copy()
    stack.predict(np.zeros((2, 3)))
    assert first.tobytes() == kept.tobytes()


def test_prediction_and_training_leave_the_rows_alone() -> None:
    # Activations overwrite what they are given; data must never be that.
    for activation in ("identity", "relu"):
        network = Network(mlp([3, 3], activation))
        rows = -np.ones((1, 2, 3))
        network.backward(network.loss.gradient(network.forward(rows), np.eye(3)[None, :2]))
        assert (rows == -1).all()


def test_runs_do_not_mix() -> None:
    stack = random_stack([3, 4, 2], 3)
    rows = np.random.default_rng(2).standard_normal((3, 5, 3))
    targets = one_hot(np.array([[0, 1, 0, 1, 1]] * 3), 2, stack.dtype)

    def gradients() -> np.ndarray:
        stack.backward(stack.loss.gradient(stack.forward(rows), targets))
        return stack.parameters.gradients.copy()

    before = gradients()
    stack.parameters.values[1] += 1
    rows[1] *= 2
    after = gradients()
    assert [row.tobytes() for row in after[::2]] == [row.tobytes() for row in before[::2]]
    assert after[1].tobytes() != before[1].tobytes()


def test_kept_runs_compute_the_same_bytes_as_before() -> None:
    stack = random_stack([3, 4, 2], 5)
    rows = np.random.default_rng(3).standard_normal((6, 3))
    before = stack.predict(rows)
    stack.keep(np.array([1, 4]))
    after = stack.predict(rows)
    assert [of_run.tobytes() for of_run in after] == [before[1].tobytes(), before[4].tobytes()]


@pytest.mark.parametrize("sizes", [[4, 2], [3, 1], [64, 64, 32, 10]], ids=str)
def test_parameters_are_counted_without_being_made(sizes: list[int]) -> None:
    settings = mlp(sizes)
    assert settings.n_parameters == Network(settings).parameters.n_parameters
    assert settings.n_units == sum(sizes)
    # 64*64+64 + 64*32+32 + 32*10+10 = 4160 + 2080 + 330.
    assert mlp([64, 64, 32, 10]).n_parameters == 6570


@pytest.mark.parametrize("sizes", [[3, 2], [3, 4, 2], [4, 4, 4, 2], [3, 5, 5, 4, 2]], ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_a_network_rebuilt_from_json_predicts_the_same_bytes(
    normalization: str, residual: bool, dropout: float, sizes: list[int]
) -> None:
    settings = mlp(sizes, "tanh", dropout=dropout, normalization=normalization, residual=residual)
    network, rng = Network(settings), np.random.default_rng(0)
    network.parameters.values[:] = rng.standard_normal(network.parameters.values.shape)
    network.statistics.values[:] = rng.uniform(0.5, 2, network.statistics.values.shape)
    weights, rows = network.weights(), rng.standard_normal((6, sizes[0]))
    read = NetworkSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert read == settings
    rebuilt = Network.from_weights(weights, read)
    assert rebuilt.predict(rows).tobytes() == network.predict(rows).tobytes()


def test_layers_alternate_and_the_last_is_linear() -> None:
    kinds = [isinstance(layer, Linear) for layer in Network(mlp([4, 3, 3, 2])).layers]
    assert kinds == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "have the shapes"),
        ({"layers.0.bias": np.ones(2)}, "have the shapes"),
        ({"layers.0.weight": np.ones((4, 2))}, "have the shapes"),
        ({"layers.0.weight": np.ones((4, 2)), "layers.0.bias": np.ones(3)}, "have the shapes"),
        ({"layers.1.weight": np.ones((4, 2)), "layers.1.bias": np.ones(2)}, "have the shapes"),
        ({"layers.0.weight": np.ones(4), "layers.0.bias": np.ones(2)}, "have the shapes"),
        ({"layers.0.weight": np.ones((4, 2, 1)), "layers.0.bias": np.ones(2)}, "have the shapes"),
        ({**WEIGHTS, "layers.2.weight": np.ones((3, 2))}, "have the shapes"),
        ({**WEIGHTS, "layers.9.scale": np.ones(1)}, "have the shapes"),
        ({"weight": np.ones((4, 2))}, "have the shapes"),
        ({"a.0.weight": np.ones((4, 2))}, "have the shapes"),
        ({"layers.x.weight": np.ones((4, 2))}, "have the shapes"),
    ],
)
def test_weights_of_no_network_are_refused(weights: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network.from_weights(weights, mlp([4, 2]))
