"""Whole trainings against PyTorch: same initial weights, same batches, thousands of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    OPTIMIZERS,
    SAMPLINGS,
    SGD,
    AbsoluteError,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    Examples,
    Huber,
    LossSettings,
    NetworkSettings,
    OptimizerSettings,
    RMSProp,
    RunSettings,
    SoftmaxCrossEntropy,
    SquaredError,
    StackSettings,
    Training,
    Xavier,
    mlp,
    stream,
)

if TYPE_CHECKING:
    import torch

SIZES = (6, 8, 5, 3)
N_ROWS, BATCH_SIZE, SEED = 60, 8, 3

SETTINGS: dict[str, OptimizerSettings] = {
    "sgd": SGD.Settings(0.05),
    "momentum": SGD.Settings(0.02, momentum=0.9),
    "nesterov": SGD.Settings(0.02, momentum=0.9, nesterov=True),
    "weight decay": SGD.Settings(0.05, weight_decay=0.01),
    "adam": Adam.Settings(0.002, beta1=0.85, beta2=0.99, epsilon=1e-7),
    # Made of the parts above: fewer steps are enough.
    "adam with weight decay": Adam.Settings(0.002, weight_decay=0.01),
    "clipping": SGD.Settings(0.05, clip_norm=0.3),
    "adamw": AdamW.Settings(0.002, weight_decay=0.3),
    "rmsprop": RMSProp.Settings(0.002, rho=0.9, weight_decay=0.01),
    "rmsprop with momentum": RMSProp.Settings(0.0005, momentum=0.8),
}
FEW = ("adam with weight decay", "clipping", "adamw", "rmsprop", "rmsprop with momentum")
N_STEPS = dict.fromkeys(SETTINGS, 5000) | dict.fromkeys(FEW, 1000)


def rows() -> Examples:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, SIZES[0]))
    # Noisy, so that the loss keeps a gradient for all 5,000 steps.
    scores = X @ rng.standard_normal((SIZES[0], SIZES[-1])) + 2 * rng.standard_normal((N_ROWS, 3))
    return Examples(X, np.argmax(scores, axis=-1))


def ours(name: str, activation: str, dtype: str, n_steps: int) -> tuple[Training, dict]:
    """Return a training that has not begun, and a copy of its initial weights."""
    optimizer = next(
        key for key, kind in OPTIMIZERS.items() if type(SETTINGS[name]) is kind.Settings
    )
    settings = StackSettings(
        mlp(SIZES, activation), n_steps, BATCH_SIZE, n_steps, optimizer, "shuffled", dtype
    )
    run = RunSettings(SEED, SETTINGS[name], initializer=Xavier())
    training = Training(settings, [run], {"train": rows()})
    return training, training.network.weights()


def torch_model(weights: dict[str, np.ndarray], activation: str) -> torch.nn.Sequential:
    """Make the network of the same weights; PyTorch keeps a weight as (out, in)."""
    from torch import from_numpy, nn

    layer: dict[str, Callable[[], nn.Module]] = {
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "sigmoid": nn.Sigmoid,
        "identity": nn.Identity,
        "leaky_relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "gelu": partial(nn.GELU, approximate="tanh"),
        "silu": nn.SiLU,
        "mish": nn.Mish,
        "softplus": nn.Softplus,
    }
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs), layer[activation]()]
    model = nn.Sequential(*layers[:-1]).to(from_numpy(weights["layers.0.weight"]).dtype)
    state = {
        name.removeprefix("layers."): from_numpy(np.ascontiguousarray(array.T))
        for name, array in weights.items()
    }
    model.load_state_dict(state)
    return model


def torch_optimizer(name: str, model: torch.nn.Module) -> torch.optim.Optimizer:
    from torch import optim

    settings = SETTINGS[name]
    parameters, decay = model.parameters(), settings.weight_decay
    if isinstance(settings, RMSProp.Settings):
        return optim.RMSprop(
            parameters,
            settings.learning_rate,
            settings.rho,
            settings.epsilon,
            decay,
            settings.momentum,
        )
    if isinstance(settings, AdamW.Settings):
        groups = [
            {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": decay},
            {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
        ]
        return optim.AdamW(groups, settings.learning_rate)
    if isinstance(settings, Adam.Settings):
        betas = (settings.beta1, settings.beta2)
        return optim.Adam(parameters, settings.learning_rate, betas, settings.epsilon, decay)
    assert isinstance(settings, SGD.Settings)
    return optim.SGD(
        parameters,
        settings.learning_rate,
        settings.momentum,
        weight_decay=decay,
        nesterov=settings.nesterov,
    )


def batches(n_steps: int) -> Iterator[np.ndarray]:
    """Draw the batches that the training draws."""
    source = SAMPLINGS["shuffled"](N_ROWS, BATCH_SIZE, [stream(SEED, "batches")])
    return (drawn[0] for drawn in source.draw(n_steps))


def clip(model: torch.nn.Module, norm: float) -> None:
    """Clip gradients as torch.nn.utils.clip_grad_norm_ does, but to the norm exactly.

    PyTorch multiplies by ``norm / (total + 1e-6)``, softnet by ``norm / total``: its results lie
    1e-6 / total off. `test_clipping` compares with PyTorch's own function at that distance; here
    the factor is put right, so that 5,000 steps can be compared to the last digits.
    """
    from torch import nn

    total = nn.utils.get_total_norm([p.grad for p in model.parameters()])
    if total > norm:
        for parameter in model.parameters():
            parameter.grad.mul_(norm / total)


def theirs(
    name: str, activation: str, weights: dict[str, np.ndarray], n_steps: int
) -> dict[str, np.ndarray]:
    """Train in PyTorch; return the weights under our names and in our layout."""
    from torch import from_numpy, nn

    model = torch_model(weights, activation)
    optimizer, loss = torch_optimizer(name, model), nn.CrossEntropyLoss()
    examples = rows()
    X = from_numpy(examples.X.astype(weights["layers.0.weight"].dtype))
    y = from_numpy(examples.y)
    for drawn in batches(n_steps):
        indices = from_numpy(drawn)
        optimizer.zero_grad()
        loss(model(X[indices]), y[indices]).backward()
        if SETTINGS[name].clip_norm is not None:
            clip(model, SETTINGS[name].clip_norm)
        optimizer.step()
    return {f"layers.{key}": value.numpy().T for key, value in model.state_dict().items()}


def distance(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Return the largest difference of any weight, relative to the largest weight of its array."""
    return max(
        float(np.abs(one[name] - other[name]).max() / np.abs(one[name]).max()) for name in one
    )


def compared(name: str, activation: str, dtype: str, n_steps: int) -> float:
    training, initial = ours(name, activation, dtype, n_steps)
    list(training)
    trained = training.trained_network().weights()
    # It has trained: the comparison is not one of initial weights.
    assert distance(trained, initial) > 0.01
    return distance(trained, theirs(name, activation, initial, n_steps))


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("name", SETTINGS)
def test_float64_training_equals_pytorchs(name: str, activation: str) -> None:
    # 450 roundings of 2.2e-16. Both round at each of 5,000 steps, but are pulled to the same
    # place: at most 1.4e-14 was measured.
    assert compared(name, activation, "float64", N_STEPS[name]) <= 1e-13


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS.keys() - {"tanh", "relu", "sigmoid"}))
def test_float64_training_with_each_activation_equals_pytorchs(activation: str) -> None:
    # As above: at most 4e-15 was measured. SELU with momentum amplifies what is rounded, to 2e-13.
    for name in ("sgd", "adam"):
        assert compared(name, activation, "float64", 1000) <= 1e-13


@pytest.mark.parametrize("name", SETTINGS)
def test_float32_training_stays_beside_pytorchs(name: str) -> None:
    # As above with roundings of 1.2e-7: at most 4e-6 was measured.
    assert compared(name, "tanh", "float32", N_STEPS[name]) <= 1e-5


@pytest.mark.parametrize("name", SETTINGS)
def test_float32_relu_stays_beside_pytorchs_for_a_hundred_steps(name: str) -> None:
    # Later an input near 0 may fall to different sides of the kink, and the runs part. At most
    # 4e-7 was measured.
    assert compared(name, "relu", "float32", 100) <= 2e-6


def test_a_stack_trains_as_pytorch_trains_each_run() -> None:
    names = [name for name in SETTINGS if isinstance(SETTINGS[name], SGD.Settings)]
    settings = StackSettings(mlp(SIZES, "tanh"), 500, BATCH_SIZE, 500)
    runs = [RunSettings(SEED, SETTINGS[name], initializer=Xavier()) for name in names]
    training = Training(settings, runs, {"train": rows()})
    initial = training.network.weights()
    list(training)
    network = training.trained_network()
    for run, name in enumerate(names):
        assert distance(network.weights(run), theirs(name, "tanh", initial, 500)) <= 1e-13


LOSS_SETTINGS: dict[str, LossSettings] = {
    "squared": SquaredError.Settings(),
    "absolute": AbsoluteError.Settings(),
    "huber": Huber.Settings(delta=0.7),
    "binary": BinaryCrossEntropy.Settings(),
    "smoothed": SoftmaxCrossEntropy.Settings(label_smoothing=0.1),
}


@pytest.mark.parametrize("name", LOSS_SETTINGS)
def test_float64_training_with_each_loss_equals_pytorchs(name: str) -> None:
    from torch import from_numpy, nn, optim

    peers = {
        "squared": nn.MSELoss(),
        "absolute": nn.L1Loss(),
        "huber": nn.HuberLoss(delta=0.7),
        "binary": nn.BCEWithLogitsLoss(),
        "smoothed": nn.CrossEntropyLoss(label_smoothing=0.1),
    }
    rng, classified = np.random.default_rng(1), rows()
    numbers = classified.X[:, :3] ** 2 + 0.3 * rng.standard_normal((N_ROWS, 3))
    kinds = {"smoothed": classified.y, "binary": (numbers > 0.5).astype(np.float64)}
    y = kinds.get(name, numbers)
    network = NetworkSettings(SIZES[0], mlp(SIZES, "tanh").layers, LOSS_SETTINGS[name])
    stack = StackSettings(network, 1000, BATCH_SIZE, 1000, metrics=())
    run = RunSettings(SEED, SGD.Settings(0.05), initializer=Xavier())
    training = Training(stack, [run], {"train": Examples(classified.X, y)})
    initial = training.network.weights()
    list(training)
    model = torch_model(initial, "tanh")
    optimizer = optim.SGD(model.parameters(), 0.05)
    X, known = from_numpy(classified.X), from_numpy(y)
    for drawn in batches(1000):
        indices = from_numpy(drawn)
        optimizer.zero_grad()
        peers[name](model(X[indices]), known[indices]).backward()
        optimizer.step()
    theirs = {f"layers.{key}": value.numpy().T for key, value in model.state_dict().items()}
    trained = training.trained_network().weights()
    assert distance(trained, initial) > 0.01
    assert distance(trained, theirs) <= 1e-13


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_float64_training_with_normalization_and_averages_equals_pytorchs(kind: str) -> None:
    import torch
    from torch import from_numpy, nn, optim

    network = mlp((6, 8, 8, 3), "gelu", normalization=kind, residual=True)
    stack = StackSettings(network, 1000, BATCH_SIZE, 1000, averaging=0.99)
    run = RunSettings(SEED, SGD.Settings(0.02), initializer=Xavier())
    training = Training(stack, [run], {"train": rows()})
    ours = training.network.weights()

    class Block(nn.Module):
        def __init__(self, n_in: int, n_out: int) -> None:
            super().__init__()
            norm = nn.BatchNorm1d if kind == "batch" else nn.LayerNorm
            self.linear, self.norm = nn.Linear(n_in, n_out), norm(n_out)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            hidden = nn.functional.gelu(self.norm(self.linear(X)), approximate="tanh")
            return X + hidden if X.shape == hidden.shape else hidden

    model = nn.Sequential(Block(6, 8), Block(8, 8), nn.Linear(8, 3)).double()
    # Under our names: of the first block, of the residual block, of the last layer.
    places = {
        "layers.0.": model[0].linear,
        "layers.1.": model[0].norm,
        "layers.3.0.": model[1].linear,
        "layers.3.1.": model[1].norm,
        "layers.4.": model[2],
    }
    for name, place in places.items():
        place.weight.data = from_numpy(np.ascontiguousarray(ours[f"{name}weight"].T))
        place.bias.data = from_numpy(ours[f"{name}bias"])
    list(training)
    optimizer, examples = optim.SGD(model.parameters(), 0.02), rows()
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    )
    averaged.update_parameters(model)  # the first call takes the initial weights as they are
    X, y = from_numpy(examples.X), from_numpy(examples.y)
    for drawn in batches(1000):
        indices = from_numpy(drawn)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[indices]), y[indices]).backward()
        optimizer.step()
        averaged.update_parameters(model)
    trained, kept = training.trained_network().weights(), averaged.module
    for name, place in zip(
        places, (kept[0].linear, kept[0].norm, kept[1].linear, kept[1].norm, kept[2]), strict=True
    ):
        for part, peer in (("weight", place.weight), ("bias", place.bias)):
            mine, theirs = trained[f"{name}{part}"], peer.detach().numpy().T
            # The bias before a batch norm has no effect, and stays where it began but for rounding.
            np.testing.assert_allclose(
                mine, theirs, rtol=0, atol=1e-13 * max(np.abs(mine).max(), 1)
            )
    if kind == "batch":
        for name in ("layers.1.", "layers.3.1."):
            running = places[name]
            for part, peer in (("mean", running.running_mean), ("variance", running.running_var)):
                mine = trained[f"{name}{part}"]
                np.testing.assert_allclose(mine, peer.numpy(), rtol=0, atol=1e-13 * mine.max())


def test_float64_training_of_members_that_share_weights_equals_pytorchs() -> None:
    import torch
    from torch import from_numpy, nn, optim

    n_members = 4
    network = mlp((6, 8, 5, 3), "tanh", n_members=n_members, shares_weights=True)
    stack = StackSettings(network, 1000, BATCH_SIZE, 1000)
    run = RunSettings(SEED, SGD.Settings(0.05), initializer=Xavier())
    training = Training(stack, [run], {"train": rows()})
    initial = training.network.weights()
    weights = {name: torch.tensor(array, requires_grad=True) for name, array in initial.items()}

    def outputs(X: torch.Tensor) -> torch.Tensor:
        hidden = X.expand(n_members, -1, -1)
        for number in (0, 2):
            weight, scale_in, scale_out, bias = (
                weights[f"layers.{number}.{name}"]
                for name in ("weight", "scale_in", "scale_out", "bias")
            )
            products = (hidden * scale_in[:, None]) @ weight
            hidden = torch.tanh(products * scale_out[:, None] + bias[:, None])
        return hidden @ weights["layers.4.weight"] + weights["layers.4.bias"][:, None]

    list(training)
    optimizer, examples = optim.SGD(weights.values(), 0.05), rows()
    X, y = from_numpy(examples.X), from_numpy(examples.y)
    for drawn in batches(1000):
        indices = from_numpy(drawn)
        optimizer.zero_grad()
        logits, targets = outputs(X[indices]).flatten(0, 1), y[indices].repeat(n_members)
        nn.functional.cross_entropy(logits, targets).backward()
        optimizer.step()
    trained = training.trained_network().weights()
    assert distance(trained, initial) > 0.01
    assert distance(trained, {k: v.detach().numpy() for k, v in weights.items()}) <= 1e-13
