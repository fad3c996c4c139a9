"""The same training in JAX, PyTorch and scikit-learn, each written as its own users would.

A peer gets the data and the settings of ours and gives back how long its steps take. None of them
may know what it is compared with, and none is needed for anything but that.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jax import Array

    Layers = list[tuple[Array, Array]]

Steps = Callable[[], float]


@dataclass(frozen=True)
class Task:
    """What all sides train.

    Parameters
    ----------
    name : str
        As it stands in the table.
    layer_sizes : tuple of int
        Features in, hidden units, classes out; ReLU between them.
    batch_size : int
        Rows of a step.
    learning_rate : float
        Of plain SGD.
    X, y : ndarray
        Rows and their classes; `X` has the type that all sides compute in.
    """

    name: str
    layer_sizes: tuple[int, ...]
    batch_size: int
    learning_rate: float
    X: NDArray[Any]
    y: NDArray[np.intp]

    def weights(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Draw the initial weight and bias of each layer."""
        rng = np.random.default_rng(0)
        pairs = zip(self.layer_sizes, self.layer_sizes[1:], strict=False)
        return [
            (
                (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(self.X.dtype),
                np.zeros(n_out, self.X.dtype),
            )
            for n_in, n_out in pairs
        ]


def is_installed(library: str) -> bool:
    """Tell whether a peer is there, without importing it."""
    return find_spec(library) is not None


def jax_steps(task: Task, n_runs: int, n_steps: int) -> Steps:
    """Return what times `jit(vmap(scan))`, compiled already; seconds per run and step.

    The batches' row numbers are drawn beforehand and not timed, nor is any evaluation.
    """
    import jax
    import jax.numpy as jnp

    # As wide as the data, so that both sides compute in the same type.
    jax.config.update("jax_enable_x64", task.X.dtype == np.float64)
    X, y = jnp.asarray(task.X), jnp.asarray(np.eye(task.layer_sizes[-1])[task.y], task.X.dtype)

    def loss(layers: Layers, X: Array, targets: Array) -> Array:
        for weight, bias in layers[:-1]:
            X = jax.nn.relu(X @ weight + bias)
        weight, bias = layers[-1]
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(X @ weight + bias) * targets, axis=-1))

    def train(layers: Layers, rate: Array, batches: Array) -> Layers:
        def step(layers: Layers, rows: Array) -> tuple[Layers, None]:
            gradients = jax.grad(loss)(layers, X[rows], y[rows])
            return jax.tree.map(lambda p, g: p - rate * g, layers, gradients), None

        return jax.lax.scan(step, layers, batches)[0]

    rng = np.random.default_rng(0)
    shape = (n_runs, n_steps, task.batch_size)
    batches = jnp.asarray(rng.integers(len(task.X), size=shape, dtype=np.int32))
    layers = jax.tree.map(lambda a: jnp.asarray(np.repeat(a[None], n_runs, 0)), task.weights())
    rates = jnp.full(n_runs, task.learning_rate, task.X.dtype)
    compiled = jax.jit(jax.vmap(train)).lower(layers, rates, batches).compile()

    def steps() -> float:
        started = time.perf_counter()
        trained = jax.block_until_ready(compiled(layers, rates, batches))
        seconds = time.perf_counter() - started
        assert all(np.isfinite(np.asarray(a)).all() for a in jax.tree.leaves(trained))
        return seconds / n_steps / n_runs

    return steps


def torch_steps(task: Task, n_steps: int) -> Steps:
    """Return what times PyTorch's usual loop over one run; seconds per step."""
    import torch

    torch.set_num_threads(1)
    X, y = torch.tensor(task.X), torch.tensor(task.y)
    modules: list[Any] = []
    for weight, bias in task.weights():
        linear = torch.nn.Linear(*weight.shape, dtype=X.dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=task.learning_rate)
    loss_of = torch.nn.CrossEntropyLoss()

    def steps() -> float:
        batches = torch.randint(len(X), (n_steps, task.batch_size))
        started = time.perf_counter()
        for rows in batches:
            optimizer.zero_grad()
            loss = loss_of(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
        return (time.perf_counter() - started) / n_steps

    return steps


def sklearn_steps(task: Task, n_steps: int) -> Steps:
    """Return what times `MLPClassifier.fit` over one run; seconds per step."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    steps_per_epoch = -(-len(task.X) // task.batch_size)
    n_epochs = max(n_steps // steps_per_epoch, 1)
    model = MLPClassifier(
        hidden_layer_sizes=task.layer_sizes[1:-1],
        solver="sgd",
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate,
        max_iter=n_epochs,
        n_iter_no_change=n_epochs + 1,
        momentum=0.0,
        random_state=0,
    )

    def steps() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the steps are given
            started = time.perf_counter()
            model.fit(task.X, task.y)
            seconds = time.perf_counter() - started
        assert model.n_iter_ == n_epochs
        return seconds / (n_epochs * steps_per_epoch)

    return steps
