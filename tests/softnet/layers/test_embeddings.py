"""Layers that come first: scales, embeddings of words and of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from softnet import (
    Adam,
    Embedding,
    Examples,
    He,
    Network,
    Periodic,
    PiecewiseLinear,
    RunSettings,
    Scale,
    SettingError,
    StackSettings,
    Training,
    check_network,
    mlp,
    stream,
)
from tests.softnet.layers.test_regularizing import bound


def test_features_are_scaled_as_worked_by_hand() -> None:
    layer = bound(Scale.Settings(), 2)
    layer.values["weight"][:] = [3.0, 0.5]
    assert layer.forward(np.array([[[1.0, 4.0]]])).tolist() == [[[3.0, 2.0]]]


def test_words_become_their_vectors_behind_what_is_left() -> None:
    # Features 1 and 2 are a word of two; 0 and 3 stay. A word of neither gets zeros.
    layer = bound(Embedding.Settings(((1, 3),), size=2), 4)
    layer.values["table0"][:] = [[5.0, 6.0], [7.0, 8.0]]
    X = np.array([[[1.0, 0.0, 1.0, 2.0], [3.0, 1.0, 0.0, 4.0], [9.0, 0.0, 0.0, 9.0]]])
    expected = [[1.0, 2.0, 7.0, 8.0], [3.0, 4.0, 5.0, 6.0], [9.0, 9.0, 0.0, 0.0]]
    assert layer.forward(X).tolist() == [expected]


def test_waves_equal_those_worked_by_hand() -> None:
    # 2 cos(2 pi (1 * 0.25 + 0)) + 3 cos(2 pi (1 * 0 + 0.5)) + 10 = 0 - 3 + 10.
    layer = bound(Periodic.Settings((1,), size=1, n_codes=2), 2)
    layer.values["frequency"][:], layer.values["phase"][:] = [0.25, 0.0], [0.0, 0.5]
    layer.values["weight"][:], layer.values["bias"][:] = [[2.0], [3.0]], 10.0
    (row,) = layer.forward(np.array([[[4.0, 1.0]]]))[0].tolist()
    assert row == [4.0, 1.0, pytest.approx(7.0, abs=1e-15)]


@pytest.mark.parametrize(
    ("x", "codes"),
    [
        (1.0, [0.5, 0.0, 0.0]),
        (2.0, [1.0, 0.0, 0.0]),
        (5.0, [1.0, 0.5, 0.0]),
        (10.0, [1.0, 1.0, 1.0]),
        (-2.0, [-1.0, 0.0, 0.0]),
        (12.0, [1.0, 1.0, 2.0]),
    ],
)
def test_bins_count_as_worked_by_hand(x: float, codes: list[float]) -> None:
    layer = bound(PiecewiseLinear.Settings((0,), size=3, n_codes=3), 1)
    layer.statistics["edges"][:] = [0.0, 2.0, 8.0, 10.0]
    layer.values["weight"][:] = np.eye(3)
    assert layer.forward(np.array([[[x]]])).tolist() == [[[x, *codes]]]


def test_bins_of_no_width_are_steps() -> None:
    layer = bound(PiecewiseLinear.Settings((0,), size=3, n_codes=3), 1)
    layer.statistics["edges"][:] = [0.0, 0.0, 0.0, 1.0]
    layer.values["weight"][:] = np.eye(3)
    rows = layer.forward(np.array([[[0.0], [0.5], [3.0]]]))[0, :, 1:].tolist()
    assert rows == [[0.0, 0.0, 0.0], [1.0, 1.0, 0.5], [1.0, 1.0, 3.0]]


def test_edges_are_quantiles_of_the_training_rows_and_kept_with_the_weights() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 2)), rng.integers(2, size=50)
    settings = mlp([2, 4, 2], inputs=[PiecewiseLinear.Settings((1,), n_codes=4)])
    stack = StackSettings(settings, 5, 10, 5, optimizer="adam")
    rows = {"train": Examples(X[:40], y[:40]), "val": Examples(X[40:], y[40:])}
    training = Training(stack, [RunSettings(0, Adam.Settings(0.01))], rows)
    list(training)
    edges = training.trained_network().weights()["layers.0.edges"]
    np.testing.assert_array_equal(edges[0], np.quantile(X[:40, 1], [0, 0.25, 0.5, 0.75, 1]))


def test_a_network_of_settings_is_checked_with_one_call() -> None:
    errors = check_network(mlp([3, 4, 2], "tanh", inputs=[Periodic.Settings((0, 1))]))
    assert {"layers.0.frequency", "layers.0.phase", "layers.1.weight"} <= errors.keys()
    assert max(errors.values()) < 1e-7


def test_what_is_embedded_starts_at_random_and_small() -> None:
    network = Network(mlp([2, 2], inputs=[Periodic.Settings((0, 1), n_codes=500)]))
    network.initialize([stream(0, "init")], [He()])
    weights = network.weights()
    assert weights["layers.0.frequency"].std() == pytest.approx(0.1, rel=0.1)
    assert np.abs(weights["layers.0.phase"]).max() <= 0.5
    assert np.abs(weights["layers.0.weight"]).max() <= 1 / math.sqrt(500)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Embedding.Settings((), size=0), "size"),
        *(
            (
                partial(Embedding.Settings(groups).make, 3, np.dtype("f8")),
                "groups: .* of 3 features",
            )
            for groups in ((), ((2, 4),), ((2, 1),), ((0, 2), (1, 3)))
        ),
        *(
            (
                partial(Periodic.Settings(numbers).make, 3, np.dtype("f8")),
                "numbers: .* of 3 feature",
            )
            for numbers in ((3,), (-1,), (1, 1))
        ),
        (lambda: Periodic.Settings((0,), n_codes=0), "n_codes"),
        (lambda: Periodic.Settings((0,), frequency_scale=0.0), "frequency_scale"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()
