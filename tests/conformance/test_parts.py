"""Single pieces against PyTorch's: loss, gradients, clipping, schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    SGD,
    Adam,
    Cosine,
    Embedding,
    Examples,
    ExponentialDecay,
    LinearDecay,
    Network,
    Parameters,
    Periodic,
    PiecewiseLinear,
    Scale,
    SoftmaxCrossEntropy,
    Step,
    mlp,
    one_hot,
)
from softnet.training.backpropagation import LayerByLayer
from softnet.training.small_networks import SideBySide

EPS = float(np.finfo(np.float64).eps)
Array = np.ndarray


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("n_classes", [1, 2, 10])
def test_loss_and_its_gradient_equal_pytorchs(n_classes: int, size: float) -> None:
    import torch

    rng = np.random.default_rng(0)
    logits = size * rng.standard_normal((1, 20, n_classes))
    y = rng.integers(n_classes, size=20)
    peer = torch.tensor(logits[0], requires_grad=True)
    mean = torch.nn.functional.cross_entropy(peer, torch.from_numpy(y))
    mean.backward()
    loss = SoftmaxCrossEntropy(logits.dtype)
    assert loss.row_losses(logits, y).mean() == pytest.approx(mean.item(), rel=20 * EPS, abs=0)
    gradient = loss.gradient(logits, one_hot(y, n_classes, logits.dtype)[None])[0]
    np.testing.assert_allclose(gradient, peer.grad.numpy(), rtol=0, atol=EPS)


def of_the_layers(network: Network, X: Array, y: Array) -> Array:
    targets = network.loss.targets(y, network.n_outputs)
    network.backward(network.loss.gradient(network.forward(X[None]), targets[None]))
    return network.parameters.gradients


def as_trained(way: type[LayerByLayer | SideBySide]) -> Callable[[Network, Array, Array], Array]:
    """Return what computes the gradients (1, n_parameters) in one of the ways that train."""

    def gradients_of(network: Network, X: Array, y: Array) -> Array:
        gradients = way(network, Examples(X, y))
        gradients.parameters.values[:] = network.parameters.values
        gradients(np.arange(len(y))[None])
        return gradients.parameters.gradients

    return gradients_of


WAYS = {
    "of the layers": of_the_layers,
    "layer by layer": as_trained(LayerByLayer),
    "side by side": as_trained(SideBySide),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_pytorchs(activation: str, way: str) -> None:
    import torch

    rng = np.random.default_rng(1)
    network = Network(mlp([5, 7, 4, 3], activation))
    network.parameters.values[:] = rng.standard_normal(network.parameters.values.shape)
    X, y = rng.standard_normal((9, 5)), rng.integers(3, size=9)
    gradients = WAYS[way](network, X, y)

    peers = {
        name: torch.tensor(array, requires_grad=True) for name, array in network.weights().items()
    }
    functions = torch.nn.functional
    apply = {
        "identity": None,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "gelu": lambda z: functions.gelu(z, approximate="tanh"),
    }.get(activation, getattr(functions, activation, None))
    hidden = torch.tensor(X)
    for number in (0, 2, 4):
        hidden = hidden @ peers[f"layers.{number}.weight"] + peers[f"layers.{number}.bias"]
        hidden = apply(hidden) if apply is not None and number < 4 else hidden
    torch.nn.functional.cross_entropy(hidden, torch.from_numpy(y)).backward()
    for name, ours in network.parameters.views(gradients).items():
        theirs = peers[name].grad.numpy()
        # A handful of sums of a handful of products, relative to the largest entry.
        np.testing.assert_allclose(ours[0], theirs, rtol=0, atol=50 * EPS * np.abs(theirs).max())


@pytest.mark.parametrize("norm", [0.01, 1.0, 1e6])
def test_clipping_equals_pytorchs_but_for_its_millionth(norm: float) -> None:
    import torch

    gradient = np.random.default_rng(2).standard_normal((1, 40))
    parameters = Parameters({"weight": (40,)}, 1, np.float64)
    optimizer = SGD([SGD.Settings(1.0, clip_norm=norm)], parameters)
    parameters.gradients[:] = gradient
    optimizer.step([1.0], 1)
    peer = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    peer.grad = torch.tensor(gradient[0])
    torch.nn.utils.clip_grad_norm_([peer], norm)
    total = float(np.linalg.norm(gradient))
    # Where it clips, PyTorch divides by (total + 1e-6): its result is that much shorter.
    theirs = peer.grad.numpy() * ((total + 1e-6) / total if total > norm else 1.0)
    np.testing.assert_allclose(-parameters.values[0], theirs, rtol=20 * EPS)


def torch_factors(make: Callable[..., Any], n_steps: int) -> list[float]:
    """Return the rates of one of PyTorch's schedules, for a rate of 1."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = make(torch.optim.lr_scheduler, optimizer)
    factors = []
    for _ in range(n_steps):
        factors.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return factors


def test_step_equals_pytorchs() -> None:
    theirs = torch_factors(lambda peer, optimizer: peer.StepLR(optimizer, 7, 0.3), 50)
    ours = [Step(every=7, factor=0.3)(step, 50) for step in range(50)]
    # PyTorch multiplies its last rate again at each drop, and rounds each time.
    assert ours == pytest.approx(theirs, rel=20 * EPS)


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_equals_pytorchs(final: float) -> None:
    theirs = torch_factors(
        lambda peer, optimizer: peer.CosineAnnealingLR(optimizer, 50, eta_min=final), 50
    )
    ours = [Cosine(final_factor=final)(step, 50) for step in range(50)]
    # PyTorch goes from each rate to the next, so its roundings add up.
    assert ours == pytest.approx(theirs, abs=100 * EPS)


def test_warm_up_equals_pytorchs() -> None:
    theirs = torch_factors(
        lambda peer, optimizer: peer.LinearLR(optimizer, start_factor=0.1, total_iters=9), 20
    )
    ours = [Cosine(final_factor=1.0, warmup_steps=10)(step, 20) for step in range(20)]
    assert ours == pytest.approx(theirs, abs=100 * EPS)


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_linear_equals_pytorchs(final: float) -> None:
    theirs = torch_factors(
        lambda peer, optimizer: peer.LinearLR(optimizer, 1.0, final, total_iters=50), 50
    )
    ours = [LinearDecay(final_factor=final)(step, 50) for step in range(50)]
    assert ours == pytest.approx(theirs, abs=100 * EPS)


def test_exponential_equals_pytorchs() -> None:
    theirs = torch_factors(lambda peer, optimizer: peer.ExponentialLR(optimizer, 0.01**0.02), 50)
    ours = [ExponentialDecay(final_factor=0.01)(step, 50) for step in range(50)]
    assert ours == pytest.approx(theirs, rel=100 * EPS)


def test_embeddings_equal_pytorchs_after_1000_steps() -> None:
    import torch

    rng = np.random.default_rng(3)
    inputs = [
        PiecewiseLinear.Settings((0,), size=2, n_codes=4),
        Periodic.Settings((0, 1), size=3, n_codes=5),
        Embedding.Settings(((2, 5),), size=2),
        Scale.Settings(),
    ]
    network = Network(mlp([5, 6, 2], "tanh", inputs=inputs))
    network.parameters.values[:] = 0.3 * rng.standard_normal(network.parameters.values.shape)
    words = np.eye(3)[rng.integers(3, size=20)]
    X, y = np.concatenate([rng.standard_normal((20, 2)), words], axis=1), rng.integers(2, size=20)
    network.body.fit(X)
    optimizer = Adam([Adam.Settings(0.001)], network.parameters)
    peers = {
        name: torch.tensor(array, requires_grad="edges" not in name)
        for name, array in network.weights().items()
    }
    peer = torch.optim.Adam([p for p in peers.values() if p.requires_grad], 0.001)

    def theirs() -> torch.Tensor:
        rows, of = torch.tensor(X), peers.__getitem__
        lower, upper = of("layers.0.edges")[:, :-1], of("layers.0.edges")[:, 1:]
        bins = (rows[:, :1, None] - lower) / (upper - lower)
        bins = torch.cat([bins[..., :1].clamp(max=1), bins[..., 1:-1].clamp(0, 1),
                          bins[..., -1:].clamp(min=0)], dim=-1)  # fmt: skip
        made = torch.einsum("bnk,nkd->bnd", bins, of("layers.0.weight")) + of("layers.0.bias")
        angle = rows[:, :2, None] * of("layers.1.frequency") + of("layers.1.phase")
        waves = torch.cos(2 * torch.pi * angle)
        waves = torch.einsum("bnk,nkd->bnd", waves, of("layers.1.weight")) + of("layers.1.bias")
        looked_up = of("layers.2.table0")[torch.tensor(words).argmax(dim=1)]
        parts = [rows[:, :2], made.flatten(1), waves.flatten(1), looked_up]
        hidden = torch.cat(parts, dim=1) * of("layers.3.weight")
        hidden = torch.tanh(hidden @ of("layers.4.weight") + of("layers.4.bias"))
        return hidden @ of("layers.6.weight") + of("layers.6.bias")

    for step in range(1, 1001):
        of_the_layers(network, X, y)
        optimizer.step([0.001], step)
        peer.zero_grad()
        torch.nn.functional.cross_entropy(theirs(), torch.from_numpy(y)).backward()
        peer.step()
    for name, ours in network.weights().items():
        np.testing.assert_allclose(ours, peers[name].detach().numpy(), rtol=1e-13, atol=1e-13)
