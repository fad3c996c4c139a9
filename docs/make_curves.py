"""Draws the learning curves of docs/layers.md: what each part of a network does to one.

    python docs/make_curves.py [NAME ...]

Each picture has the mean validation loss of eight seeds, which train as one stack, with and without
the part. The data are made here, each so that there is something for the part to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.figures import style
from runner.figures.style import PALETTE, house_style
from softnet import (
    OPTIMIZERS,
    SCHEDULES,
    Embedding,
    Examples,
    NetworkSettings,
    Periodic,
    PiecewiseLinear,
    RunSettings,
    Scale,
    SquaredError,
    StackSettings,
    Training,
    mlp,
)

DOCS = Path(__file__).resolve().parent
N_SEEDS = 8


@dataclass(frozen=True)
class Side:
    """One line of a picture: a network, and how it is trained."""

    network: NetworkSettings
    optimizer: str = "adam"
    rate: float = 0.003
    schedule: str = "constant"
    averaging: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """What is compared, on which rows."""

    title: str
    rows: Callable[[np.random.Generator, int], tuple[NDArray[Any], NDArray[Any]]]
    sides: Mapping[str, Side]
    n_train: int = 400
    n_steps: int = 1000
    batch_size: int = 32
    losses: tuple[float, float | None] = (0, None)


def spiral(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw points on three arms of a spiral."""
    y = rng.integers(3, size=n)
    radius = rng.uniform(0.2, 2, n)
    angle = 2 * radius + 2 * np.pi * y / 3 + 0.15 * rng.standard_normal(n)
    return radius[:, None] * np.c_[np.cos(angle), np.sin(angle)], y


def noisy(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw rows of twenty features, of which three decide, and one label in seven is wrong."""
    X = rng.standard_normal((n, 20))
    y = (X[:, 0] * X[:, 1] + X[:, 2] > 0) ^ (rng.random(n) < 1 / 7)
    return X, y.astype(int)


def waves(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw numbers, and a quantity that goes up and down with the first and jumps in the second."""
    X = rng.uniform(-1, 1, (n, 2))
    y = np.sin(8 * X[:, 0]) + (X[:, 1] > 0.3) + 0.1 * rng.standard_normal(n)
    return X, y


def towns(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw one of sixty words and a number, whose effect depends on which of three kinds it is."""
    kinds = np.random.default_rng(7).integers(3, size=60)
    word, x = rng.integers(60, size=n), rng.standard_normal(n)
    y = np.select([kinds[word] == 0, kinds[word] == 1], [x, -x], 1.0)
    return np.c_[np.eye(60)[word], x], y + 0.1 * rng.standard_normal(n)


def few(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw rows of forty features, of which two decide."""
    X = rng.standard_normal((n, 40))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def wide(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw ten numbers, and a quantity that is their sum and as much noise."""
    X = rng.standard_normal((n, 10))
    return X, X @ np.full(10, 0.3) + rng.standard_normal(n)


SQUARED = SquaredError.Settings()
DEEP = (2, *[24] * 8, 3)
PICTURES = {
    "hidden": Picture(
        "A hidden layer",
        spiral,
        {
            "no hidden layer": Side(mlp([2, 3])),
            "8 units": Side(mlp([2, 8, 3])),
            "64 units": Side(mlp([2, 64, 3])),
        },
    ),
    "dropout": Picture(
        "Dropout",
        noisy,
        {
            "without": Side(mlp([20, 128, 128, 2]), rate=0.001),
            "dropout 0.3": Side(mlp([20, 128, 128, 2], dropout=0.3), rate=0.001),
            "dropout 0.6": Side(mlp([20, 128, 128, 2], dropout=0.6), rate=0.001),
        },
    ),
    "normalization": Picture(
        "Normalization, eight hidden layers of sigmoids",
        spiral,
        {
            "without": Side(mlp(DEEP, "sigmoid"), "sgd", 0.1),
            "batch": Side(mlp(DEEP, "sigmoid", normalization="batch"), "sgd", 0.1),
            "layer": Side(mlp(DEEP, "sigmoid", normalization="layer"), "sgd", 0.1),
        },
    ),
    "residual": Picture(
        "Residual blocks, eight hidden layers",
        spiral,
        {
            "without": Side(mlp(DEEP), "sgd", 0.03),
            "residual": Side(mlp(DEEP, residual=True), "sgd", 0.03),
        },
    ),
    "scale": Picture(
        "A learned scale of inputs",
        few,
        {
            "without": Side(mlp([40, 64, 2]), rate=0.001),
            "scale": Side(mlp([40, 64, 2], inputs=[Scale.Settings()]), rate=0.001),
        },
    ),
    "numbers": Picture(
        "Numbers as several features",
        waves,
        {
            "as they are": Side(mlp([2, 32, 1], loss=SQUARED)),
            "periodic": Side(
                mlp([2, 32, 1], inputs=[Periodic.Settings((0, 1), 4, 16, 1.0)], loss=SQUARED)
            ),
            "piecewise linear": Side(
                mlp([2, 32, 1], inputs=[PiecewiseLinear.Settings((0, 1), 4, 16)], loss=SQUARED)
            ),
        },
    ),
    "words": Picture(
        "Words as vectors",
        towns,
        {
            "one-hot": Side(mlp([61, 64, 1], loss=SQUARED)),
            "vectors of 4": Side(
                mlp([61, 64, 1], inputs=[Embedding.Settings(((0, 60),), 4)], loss=SQUARED)
            ),
        },
        n_train=1000,
    ),
    "optimizers": Picture(
        "Optimizers",
        spiral,
        {
            "SGD, rate 0.1": Side(mlp([2, 64, 3]), "sgd", 0.1),
            "momentum 0.9": Side(mlp([2, 64, 3]), "sgd", 0.1, more={"momentum": 0.9}),
            "RMSProp, rate 0.003": Side(mlp([2, 64, 3]), "rmsprop", 0.003),
            "AdamW, rate 0.01": Side(mlp([2, 64, 3]), "adamw", 0.01),
        },
    ),
    "averaging": Picture(
        "Noise of the steps: a falling rate, and an average of the weights",
        wide,
        {
            "constant rate": Side(mlp([10, 1], loss=SQUARED), "sgd", 0.06),
            "cosine": Side(mlp([10, 1], loss=SQUARED), "sgd", 0.06, schedule="cosine"),
            "average, 0.99": Side(mlp([10, 1], loss=SQUARED), "sgd", 0.06, averaging=0.99),
        },
        batch_size=4,
        losses=(1.0, 1.8),
    ),
    "members": Picture(
        "Members whose predictions are averaged",
        noisy,
        {
            "one network": Side(mlp([20, 64, 2]), rate=0.001),
            "16 members": Side(mlp([20, 64, 2], n_members=16), rate=0.001),
            "16 that share weights": Side(
                mlp([20, 64, 2], n_members=16, shares_weights=True), rate=0.001
            ),
        },
    ),
}


def curve(picture: Picture, side: Side) -> tuple[list[int], NDArray[Any]]:
    """Train eight seeds as one stack; return steps, and validation losses (steps, seeds)."""
    rng = np.random.default_rng(0)
    rows = {
        name: Examples(*picture.rows(rng, n))
        for name, n in (("train", picture.n_train), ("val", 1000))
    }
    settings = StackSettings(
        side.network,
        picture.n_steps,
        picture.batch_size,
        picture.n_steps // 50,
        side.optimizer,
        metrics=(),
        averaging=side.averaging,
    )
    optimizer = OPTIMIZERS[side.optimizer].Settings(side.rate, **side.more)
    schedule = SCHEDULES[side.schedule]()
    runs = [RunSettings(seed, optimizer, schedule) for seed in range(N_SEEDS)]
    found = [(r.step, r.metrics["val/loss"]) for r in Training(settings, runs, rows) if r.metrics]
    return [step for step, _ in found], np.array([losses for _, losses in found])


@house_style()
def draw(name: str, picture: Picture) -> None:
    """Draw one picture."""
    figure, (axes,) = style.new_figure(5.5, 2.2)
    lines = []
    for color, side in zip(PALETTE, picture.sides.values(), strict=False):
        steps, losses = curve(picture, side)
        axes.fill_between(steps, losses.min(1), losses.max(1), color=color, alpha=0.15, linewidth=0)
        lines += axes.plot(steps, losses.mean(1), color=color, linewidth=1.8)
    axes.set_xlabel("step")
    axes.set_ylabel("validation loss")
    axes.set_ylim(*picture.losses)
    style.legend_beside(axes, lines, list(picture.sides))
    path = DOCS / f"curve_{name}.png"
    reading_help = f"mean of {N_SEEDS} seeds, shaded from the lowest to the highest"
    style.save(figure, path, picture.title, reading_help)
    # A third of the bytes, for few colours are in it.
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PICTURES:
        draw(wanted, PICTURES[wanted])
