"""What a step costs with each kind of layer, loss and optimizer, beside JAX and PyTorch.

    python benchmarks/layers.py [--rounds 9] [--only dropout]

One network of a table's size, 30-64-64-2 with batches of 64 in float32, and one part of it after
another exchanged. All sides take turns on one core of one process; medians are printed, and ratios
of the same rounds. JAX is `jit(vmap(scan))` at the best of its stacks of 1, 16 and 64 runs, PyTorch
its usual loop over one run. Both are spared the drawing of batches, and JAX the running means of
batch normalization.
"""

# ruff: noqa: ANN401  (an array is that of either library)

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np
from numpy.typing import NDArray

from benchmarks.step import step_s
from benchmarks.sweeps.peers import Steps, is_installed
from benchmarks.sweeps.processes import at_most, judged
from benchmarks.sweeps.training import measure, on_one_core
from runner.jobs.stacks import runs_per_stack
from softnet import (
    OPTIMIZERS,
    AbsoluteError,
    BinaryCrossEntropy,
    Embedding,
    Examples,
    Huber,
    LayerSettings,
    LossSettings,
    Network,
    NetworkSettings,
    Periodic,
    PiecewiseLinear,
    RunSettings,
    Scale,
    SquaredError,
    StackSettings,
    Training,
    mlp,
    stream,
)

JAX_LIMIT = 1.0
STACKS = (1, 16, 64)
SIZES, BATCH_SIZE, N_ROWS, N_STEPS, DTYPE = (30, 64, 64, 2), 64, 1024, 160, np.float32
# Words of a table as one-hot columns, which lie behind its numbers.
GROUPS = ((10, 20), (20, 30))
RATE, DECAY, RHO, EPSILON, DROPPED = 0.01, 0.01, 0.9, 1e-8, 0.1
BETAS = (0.9, 0.999)
FUNCTIONS = {"ReLU": "relu", "GELU": "gelu", "SiLU": "silu", "Mish": "mish", "SELU": "selu"}
# What a network keeps and does not learn.
STATISTICS = (".edges", ".mean", ".variance")

Arrays = Mapping[str, Any]
# What the layers of a peer are called with, and give back.
Apply = Callable[[Sequence[LayerSettings], str, Arrays, Any, Any], Any]


def kind_of(settings: LayerSettings | LossSettings) -> str:
    """Return the name of the class that settings make."""
    return type(settings).__qualname__.removesuffix(".Settings")


@dataclass(frozen=True)
class Part:
    """A network in which one thing is not as in the others, and its optimizer."""

    name: str
    network: NetworkSettings
    optimizer: str = "sgd"
    has_limit: bool = True

    def rows(self) -> Examples:
        """Return rows of numbers and words, with the targets that the loss takes."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((N_ROWS, SIZES[0])).astype(DTYPE)
        if self.name == "word embedding":
            for first, last in GROUPS:
                X[:, first:last] = np.eye(last - first)[rng.integers(last - first, size=N_ROWS)]
        y: NDArray[Any] = rng.integers(2, size=N_ROWS)
        if not self.classifies:
            y = (
                np.eye(2)[y]
                if self.loss == "BinaryCrossEntropy"
                else rng.standard_normal((N_ROWS, 2))
            )
        return Examples(X, y)

    @property
    def loss(self) -> str:
        """The name of its loss."""
        return kind_of(self.network.loss)

    @property
    def classifies(self) -> bool:
        """Whether its targets are classes rather than an array of numbers."""
        return self.loss == "SoftmaxCrossEntropy"

    def training(self, n_runs: int) -> Training:
        """Make runs of ours that have not begun."""
        settings = StackSettings(
            self.network, N_STEPS, BATCH_SIZE, N_STEPS, self.optimizer, dtype="float32", metrics=()
        )
        kind = OPTIMIZERS[self.optimizer]
        runs = [RunSettings(seed, kind.Settings(RATE)) for seed in range(n_runs)]
        return Training(settings, runs, {"train": self.rows()})

    def initial(self, n_runs: int) -> dict[str, NDArray[Any]]:
        """Return parameters and statistics of a stack of runs, (runs, ...) by name."""
        network = Network(self.network, n_runs, np.dtype(DTYPE))
        initializers = [RunSettings(0, OPTIMIZERS["sgd"].Settings(RATE)).initializer] * n_runs
        network.initialize([stream(seed, "init") for seed in range(n_runs)], initializers)
        network.body.fit(self.rows().X)
        arrays = (network.parameters, network.statistics)
        return {name: view for each in arrays for name, view in each.views(each.values).items()}


def parts() -> Iterator[Part]:
    """Give what is timed: the plain network, then each of its parts exchanged."""
    numbers = tuple(range(10))
    yield Part("plain, SGD", mlp(SIZES))
    for name in ("adam", "adamw", "rmsprop"):
        yield Part(name, mlp(SIZES), name)
    for name in ("gelu", "silu", "mish", "selu"):
        yield Part(name, mlp(SIZES, name), has_limit=False)
    yield Part("dropout", mlp(SIZES, dropout=DROPPED))
    yield Part("batch norm", mlp(SIZES, normalization="batch"))
    yield Part("layer norm", mlp(SIZES, normalization="layer"))
    yield Part("residual", mlp(SIZES, residual=True), has_limit=False)
    yield Part("scale of inputs", mlp(SIZES, inputs=[Scale.Settings()]), has_limit=False)
    yield Part("word embedding", mlp(SIZES, inputs=[Embedding.Settings(GROUPS)]))
    yield Part("periodic numbers", mlp(SIZES, inputs=[Periodic.Settings(numbers)]))
    yield Part("piecewise linear", mlp(SIZES, inputs=[PiecewiseLinear.Settings(numbers)]))
    losses: dict[str, LossSettings] = {
        "squared error": SquaredError.Settings(),
        "absolute error": AbsoluteError.Settings(),
        "Huber": Huber.Settings(),
        "a sigmoid each": BinaryCrossEntropy.Settings(),
    }
    for name, loss in losses.items():
        yield Part(name, mlp(SIZES, loss=loss), has_limit=False)


def our_steps(part: Part, n_runs: int) -> Steps:
    """Return what times a training of ours, with the one evaluation that ends it."""
    return lambda: step_s(part.training(n_runs))


def layers_of(xp: Any, functions: Mapping[str, Callable[[Any], Any]], dropout: Any) -> Apply:
    """Write the layers with a library's own functions, which JAX and PyTorch mostly share."""

    def apply(
        layers: Sequence[LayerSettings], prefix: str, weights: Arrays, X: Any, chance: Any
    ) -> Any:
        for number, layer in enumerate(layers):
            at = f"{prefix}{number}."
            match kind_of(layer):
                case "Linear":
                    X = X @ weights[f"{at}weight"] + weights[f"{at}bias"]
                case "Residual":
                    X = X + apply(layer.layers, at, weights, X, chance)
                case "Dropout":
                    X = dropout(X, chance, number)
                case "BatchNorm" | "LayerNorm" as kind:
                    axis = 0 if kind == "BatchNorm" else -1
                    mean = X.mean(axis, keepdims=True)
                    variance = ((X - mean) ** 2).mean(axis, keepdims=True)
                    X = (X - mean) / xp.sqrt(variance + layer.epsilon)
                    X = X * weights[f"{at}weight"] + weights[f"{at}bias"]
                case "Scale":
                    X = X * weights[f"{at}weight"]
                case "Embedding":
                    # Looked up by number, as everyone does who does not have one-hot columns.
                    ids = [X[:, first:last].argmax(-1) for first, last in layer.groups]
                    vectors = [weights[f"{at}table{n}"][words] for n, words in enumerate(ids)]
                    X = xp.concatenate([X[:, : GROUPS[0][0]], *vectors], -1)
                case "Periodic" | "PiecewiseLinear":
                    codes = encoded(xp, X[:, : len(layer.numbers), None], at, weights)
                    made = xp.einsum("bnc,ncs->bns", codes, weights[f"{at}weight"])
                    made = (made + weights[f"{at}bias"]).reshape(len(X), -1)
                    X = xp.concatenate([X, made], -1)
                case kind:
                    X = functions[kind](X)
        return X

    return apply


def encoded(xp: Any, x: Any, at: str, weights: Arrays) -> Any:
    """Encode numbers (batch, numbers, 1) by waves, or by the bins that they lie in."""
    if f"{at}frequency" in weights:
        return xp.cos(2 * np.pi * (x * weights[f"{at}frequency"] + weights[f"{at}phase"]))
    edges = weights[f"{at}edges"]
    return xp.clip((x - edges[:, :-1]) / (edges[:, 1:] - edges[:, :-1]), 0, 1)


def jax_loss(part: Part) -> Callable[..., Any]:
    """Return the mean loss of a batch under some weights."""
    import jax
    from jax import nn
    from jax import numpy as jnp

    def dropout(X: Any, key: Any, number: int) -> Any:
        stays = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - DROPPED, X.shape)
        return jnp.where(stays, X / (1 - DROPPED), 0)

    functions = {kind: getattr(nn, name) for kind, name in FUNCTIONS.items()}
    apply = layers_of(jnp, functions, dropout)

    def loss(weights: Arrays, fixed: Arrays, X: Any, y: Any, key: Any) -> Any:
        z = apply(part.network.layers, "layers.", {**weights, **fixed}, X, key)
        error = abs(z - y)
        match part.loss:
            case "SoftmaxCrossEntropy":
                return -(nn.log_softmax(z) * y).sum(-1).mean()
            case "BinaryCrossEntropy":
                return (nn.softplus(z) - z * y).sum(-1).mean()
            case "SquaredError":
                return (error**2).mean()
            case "AbsoluteError":
                return error.mean()
            case _:
                return jnp.where(error < 1, error**2 / 2, error - 1 / 2).mean()

    return loss


def jax_update(optimizer: str) -> Callable[..., Any]:
    """Return what takes the step of an optimizer, given its state."""
    import jax
    from jax import numpy as jnp

    tree, (b1, b2) = jax.tree.map, BETAS
    decay = RATE * DECAY if optimizer == "adamw" else 0.0

    def sgd(weights: Any, state: Any, gradients: Any, _: Any) -> tuple[Any, Any]:
        return tree(lambda p, g: p - RATE * g, weights, gradients), state

    def rmsprop(weights: Any, state: Any, gradients: Any, _: Any) -> tuple[Any, Any]:
        squares = tree(lambda s, g: RHO * s + (1 - RHO) * g * g, state[1], gradients)
        stepped = tree(
            lambda p, g, s: p - RATE * g / (jnp.sqrt(s) + EPSILON), weights, gradients, squares
        )
        return stepped, (state[0], squares)

    def adam(weights: Any, state: Any, gradients: Any, t: Any) -> tuple[Any, Any]:
        means = tree(lambda m, g: b1 * m + (1 - b1) * g, state[0], gradients)
        squares = tree(lambda s, g: b2 * s + (1 - b2) * g * g, state[1], gradients)

        def step(p: Any, m: Any, s: Any) -> Any:
            kept = p * (1 - decay) if p.ndim > 1 else p
            return kept - RATE * (m / (1 - b1**t)) / (jnp.sqrt(s / (1 - b2**t)) + EPSILON)

        return tree(step, weights, means, squares), (means, squares)

    return {"sgd": sgd, "rmsprop": rmsprop}.get(optimizer, adam)


def jax_steps(part: Part, n_runs: int) -> Steps:
    """Return what times `jit(vmap(scan))`, compiled already; seconds per run and step."""
    import jax
    from jax import numpy as jnp

    rows, loss, update = part.rows(), jax_loss(part), jax_update(part.optimizer)
    X, y = jnp.asarray(rows.X), jnp.asarray(np.eye(2)[rows.y] if part.classifies else rows.y, DTYPE)

    def train(weights: Any, fixed: Any, batches: Any, key: Any) -> Any:
        def step(carry: Any, batch: Any) -> tuple[Any, None]:
            weights, state, t, key = carry
            key, used = jax.random.split(key)
            gradients = jax.grad(loss)(weights, fixed, X[batch], y[batch], used)
            weights, state = update(weights, state, gradients, t)
            return (weights, state, t + 1, key), None

        zeros = jax.tree.map(jnp.zeros_like, weights)
        first = (weights, (zeros, zeros), jnp.asarray(1.0, DTYPE), key)
        return jax.lax.scan(step, first, batches)[0][0]

    rng = np.random.default_rng(0)
    batches = jnp.asarray(rng.integers(N_ROWS, size=(n_runs, N_STEPS, BATCH_SIZE), dtype=np.int32))
    arrays = {name: jnp.asarray(array) for name, array in part.initial(n_runs).items()}
    fixed = {name: array for name, array in arrays.items() if name.endswith(STATISTICS)}
    weights = {name: array for name, array in arrays.items() if name not in fixed}
    given = (weights, fixed, batches, jax.random.split(jax.random.key(0), n_runs))
    compiled = jax.jit(jax.vmap(train)).lower(*given).compile()

    def steps() -> float:
        started = time.perf_counter()
        trained = jax.block_until_ready(compiled(*given))
        seconds = time.perf_counter() - started
        assert all(np.isfinite(np.asarray(a)).all() for a in jax.tree.leaves(trained))
        return seconds / N_STEPS / n_runs

    return steps


def torch_steps(part: Part) -> Steps:
    """Return what times PyTorch's usual loop over one run; seconds per step."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    functions = {kind: getattr(functional, name) for kind, name in FUNCTIONS.items()}
    apply = layers_of(torch, functions, lambda X, _key, _number: functional.dropout(X, DROPPED))
    weights = {
        name: torch.tensor(array[0], requires_grad=not name.endswith(STATISTICS))
        for name, array in part.initial(1).items()
    }
    learned = [tensor for tensor in weights.values() if tensor.requires_grad]
    make = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}[part.optimizer]
    optimizer = getattr(torch.optim, make)(learned, RATE)
    loss_of = {
        "SquaredError": functional.mse_loss,
        "AbsoluteError": functional.l1_loss,
        "Huber": functional.huber_loss,
        "BinaryCrossEntropy": functional.binary_cross_entropy_with_logits,
    }.get(part.loss, functional.cross_entropy)
    rows = part.rows()
    X = torch.tensor(rows.X)
    y = torch.tensor(rows.y if part.classifies else rows.y.astype(DTYPE))

    def steps() -> float:
        batches = torch.randint(N_ROWS, (N_STEPS, BATCH_SIZE))
        started = time.perf_counter()
        for batch in batches:
            optimizer.zero_grad()
            loss_of(
                apply(part.network.layers, "layers.", weights, X[batch], None), y[batch]
            ).backward()
            optimizer.step()
        return (time.perf_counter() - started) / N_STEPS

    return steps


def sides_of(part: Part) -> dict[str, Steps]:
    """Return all sides that are installed: ours at its own size of stack and at three others."""
    usual = runs_per_stack(part.training(1).settings)
    sides = {"softnet": our_steps(part, usual)}
    sides |= {f"softnet {n}": our_steps(part, n) for n in STACKS}
    if is_installed("jax"):
        sides |= {f"JAX {n}": jax_steps(part, n) for n in STACKS}
    if is_installed("torch"):
        sides["PyTorch"] = torch_steps(part)
    return sides


def compare(n_rounds: int, only: str) -> bool:
    """Print the table and the ratios, and tell whether all limits are known to hold."""
    columns = [
        "softnet",
        *(f"softnet {n}" for n in STACKS),
        *(f"JAX {n}" for n in STACKS),
        "PyTorch",
    ]
    print(f"| μs per run and step | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    ratios: dict[str, tuple[float, bool]] = {}
    for part in parts():
        if only not in part.name:
            continue
        times = measure(sides_of(part), n_rounds)
        medians = {name: statistics.median(found) for name, found in times.items()}
        cells = [f"{medians[name]:.1f}" if name in medians else "" for name in columns]
        print(f"| {part.name} | {' | '.join(cells)} |", flush=True)
        theirs = [name for name in medians if name.startswith("JAX")]
        if theirs:
            best = times[min(theirs, key=medians.__getitem__)]
            pairs = zip(times["softnet"], best, strict=True)
            ratios[part.name] = statistics.median(us / them for us, them in pairs), part.has_limit
    judged()
    kept = [
        at_most(f"{name}: softnet / JAX at its best", ratio, JAX_LIMIT if has_limit else None)
        for name, (ratio, has_limit) in ratios.items()
    ]
    return all(kept) and bool(kept)


def members(n_rounds: int) -> None:
    """Print what a run of sixteen members takes, beside a run of one network."""
    several = {"16 members": False, "16 members that share weights": True}
    parts = {"one network": Part("one", mlp(SIZES))} | {
        name: Part(name, mlp(SIZES, n_members=16, shares_weights=shares))
        for name, shares in several.items()
    }
    times = measure({name: our_steps(part, 1) for name, part in parts.items()}, n_rounds)
    for name, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, times["one network"], strict=True))
        print(f"{name}, alone: {statistics.median(found):.0f} μs a step, {ratio:.1f} of one")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="a part of a name")
    arguments = parser.parse_args()
    on_one_core()
    members(3 * arguments.rounds)
    sys.exit(not compare(arguments.rounds, arguments.only))
