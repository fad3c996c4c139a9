"""Check gradients against central differences; public, for people's own layers.

    relative error = ||analytic - numeric|| / (||analytic|| + ||numeric||)

A correct network in float64 at h = 1e-5 stays near 1e-10; a gradient that is off by a thousandth
gives 5e-4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softnet.losses.outputwise import OutputwiseLoss
from softnet.network import Network, NetworkSettings
from softnet.training.backpropagation import gradients_of
from softnet.training.settings import Examples

Float64s = NDArray[Any]


def central_differences(
    function: Callable[[], float], values: Float64s, h: float = 1e-5
) -> Float64s:
    """Differentiate a function of an array by moving each element up and down by `h`.

    `function` returns the value at the present content of `values`, which is changed in place
    during the call, and put back.

    Examples
    --------
    >>> x = np.array([3.0])
    >>> round(float(central_differences(lambda: float(x[0] ** 2), x)[0]), 6)
    6.0
    """
    slopes = np.empty_like(values)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + h
        above = function()
        values[index] = kept - h
        below = function()
        values[index] = kept
        slopes[index] = (above - below) / (2 * h)
    return slopes


def relative_error(analytic: Float64s, numeric: Float64s, at_least: float = 0.0) -> float:
    """Return the distance of two gradients, relative to their lengths; 0 if both are zero.

    Relative to `at_least` where they are shorter: of what is nearly zero only rounding differs.
    """
    length = max(float(np.linalg.norm(analytic) + np.linalg.norm(numeric)), at_least)
    return float(np.linalg.norm(analytic - numeric)) / length if length else 0.0


def check_network(
    network: Network | NetworkSettings,
    X: Float64s | None = None,
    y: NDArray[Any] | None = None,
    h: float = 1e-5,
) -> dict[str, float]:
    """Compare a network's gradients with central differences of its loss.

    Both its own, layer by layer, and those of the way in which it would train with such batches.

    Parameters
    ----------
    network : Network or NetworkSettings
        In float64; of settings it makes two runs with random weights.
    X : ndarray of shape (runs, batch, n_features) or None
        A batch for each run; None is one of random numbers.
    y : ndarray of shape (batch,) or (batch, n)
        What the network's loss takes, the same in every run.
    h : float
        Half the distance between the two points.

    Returns
    -------
    dict of str to float
        Relative error of each parameter's gradient, over all runs; the larger of the two. Of one
        that is shorter than a thousandth of all together, such as a bias before a batch
        normalization, which has no effect, it is relative to this thousandth.

    Examples
    --------
    >>> from softnet import mlp
    >>> max(check_network(mlp([3, 4, 2], "tanh")).values()) < 1e-7
    True
    """
    rng = np.random.default_rng(0)
    if isinstance(network, NetworkSettings):
        network = Network(network, n_runs=2)
        network.parameters.values[:] = rng.standard_normal(network.parameters.values.shape)
        network.statistics.values[:] = rng.uniform(0.5, 2, network.statistics.values.shape)
    if X is None:
        X = rng.standard_normal((network.parameters.n_runs, 7, network.settings.in_features))
        network.body.fit(X.reshape(-1, X.shape[-1]))
    n_batch, n_outputs = X.shape[1], network.n_outputs
    if y is None:
        of_each_output = isinstance(network.loss, OutputwiseLoss)
        shape = (n_batch, n_outputs) if of_each_output else (n_batch,)
        y = np.asarray(rng.integers(2 if of_each_output else n_outputs, size=shape))
    if network.dtype != np.float64:
        raise ValueError(f"a gradient check needs float64, got {network.dtype}")
    start = network.noise.n_words

    def forward() -> Float64s:
        # Whatever is drawn at random is drawn again.
        network.noise.go_to(start)
        return network.forward(X, training=True)

    outputs = forward()
    targets = network.loss.targets(y, n_outputs)
    n_members = network.settings.n_members if network.settings.shares_weights else 1
    y_of_all = np.concatenate([y] * n_members)
    targets = np.concatenate([targets] * n_members)
    targets = np.broadcast_to(targets, (len(outputs), *targets.shape))
    network.backward(network.loss.gradient(outputs, targets))
    own = network.parameters.gradients.copy()
    network.noise.go_to(start)
    trained = _as_in_training(network, X, y)

    def total_loss() -> float:
        # The runs share no parameter, so the sum over runs has each run's gradient in its row.
        return float(network.loss.row_objectives(forward(), y_of_all).mean(axis=-1).sum())

    numeric = central_differences(total_loss, network.parameters.values, h)
    parameters, at_least = network.parameters, float(np.linalg.norm(numeric)) / 1000
    views = [parameters.views(gradients) for gradients in (own, trained, numeric)]
    return {
        name: max(relative_error(each[name], views[-1][name], at_least) for each in views[:-1])
        for name in parameters.shapes
    }


def _as_in_training(network: Network, X: Float64s, y: NDArray[Any]) -> Float64s:
    """Return the gradients (runs, n_parameters) that an optimizer would be given."""
    n_runs, batch_size = network.parameters.n_runs, len(y)
    rows = np.broadcast_to(X, (n_runs, *X.shape[1:])).reshape(n_runs * batch_size, -1)
    gradients = gradients_of(network, Examples(rows, np.concatenate([y] * n_runs)), batch_size)
    gradients.parameters.values[:] = network.parameters.values
    gradients(np.arange(len(rows)).reshape(n_runs, batch_size))
    return gradients.parameters.gradients.copy()
