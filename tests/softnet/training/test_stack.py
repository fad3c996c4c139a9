"""A run alone equals the same run in a stack, by bytes: weights, every metric, every step.

One scenario mixes everything that runs may have for themselves; it is trained on shapes that have
gone wrong elsewhere, in both types, with both samplings and every optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from softnet import (
    ACTIVATIONS,
    INITIALIZERS,
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    EarlyStopping,
    Examples,
    ExponentialDecay,
    LinearDecay,
    Network,
    OptimizerSettings,
    Record,
    RMSProp,
    RunSettings,
    Schedule,
    StackSettings,
    Step,
    Training,
    mlp,
)
from softnet.training.small_networks import supports

if TYPE_CHECKING:
    from tests.softnet.conftest import Story

Tell = Callable[[Training, Iterable[Record]], "list[Story]"]

N_RUNS = 16
STACKS = (2, 3, 7, 16)
# Layer sizes, training rows, validation rows, batch size.
SHAPES: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "tutorial": ((4, 2), 8, 4, 4),
    "one class": ((3, 1), 10, 5, 4),
    "one class, hidden units": ((3, 4, 1), 10, 5, 4),
    "batches of one": ((5, 3), 7, 3, 1),
    "short last batch": ((4, 6, 3), 11, 7, 4),
    "last batch of one": ((4, 6, 3), 9, 1, 4),
    "one hidden unit": ((6, 1, 3), 20, 5, 8),
    "one feature": ((1, 3, 2), 20, 5, 8),
    "small odd sizes": ((5, 3, 7, 5), 23, 11, 6),
    "more than a block of rows": ((3, 4, 3), 30, 1025, 8),
    # Those above are so small that they train side by side, those below run by run.
    "more features, one class": ((70, 1), 10, 5, 4),
    "more features, batches of one": ((70, 5), 7, 3, 1),
    "more hidden units, short last batch": ((4, 30, 3), 11, 7, 4),
    "more hidden units, last batch of one": ((4, 30, 3), 9, 1, 4),
    "more rows, one hidden unit": ((20, 1, 3), 30, 5, 16),
    "more hidden units, one feature": ((1, 40, 2), 20, 5, 8),
    "odd sizes": ((7, 5, 3, 11), 23, 11, 6),
    "wide": ((64, 64, 32, 10), 70, 33, 32),
}
# Each kind of setting in an order of its own, so that they meet in many combinations. The third
# run diverges; it is in every stack from 3 on.
SGDS = [
    SGD.Settings(0.3),
    SGD.Settings(0.1, momentum=0.9),
    SGD.Settings(1e200),
    SGD.Settings(0.05, momentum=0.8, nesterov=True),
    SGD.Settings(0.3, weight_decay=0.02),
    SGD.Settings(0.5, clip_norm=0.2),
    SGD.Settings(0.2, momentum=0.5, weight_decay=0.01, clip_norm=0.5),
    SGD.Settings(0.1, momentum=0.3, nesterov=True, weight_decay=0.1, clip_norm=100.0),
]
ADAMS = [
    Adam.Settings(0.02),
    Adam.Settings(0.05, beta1=0.5, beta2=0.9),
    Adam.Settings(1e200),
    Adam.Settings(0.02, beta1=0.0),
    Adam.Settings(0.02, weight_decay=0.02, epsilon=1e-3),
    Adam.Settings(0.05, beta2=0.0, clip_norm=0.2),
    Adam.Settings(0.01, beta1=0.99, beta2=0.9999, weight_decay=0.01, clip_norm=0.5),
]
ADAMWS = [
    AdamW.Settings(0.02, weight_decay=0.0),
    AdamW.Settings(0.05, beta2=0.9),
    AdamW.Settings(1e200),
    AdamW.Settings(0.02, weight_decay=0.5, clip_norm=0.5),
]
RMSPROPS = [
    RMSProp.Settings(0.01),
    RMSProp.Settings(0.02, momentum=0.9),
    RMSProp.Settings(1e200),
    RMSProp.Settings(0.01, rho=0.5, weight_decay=0.02),
    RMSProp.Settings(0.02, momentum=0.5, epsilon=1e-3, clip_norm=0.2),
]
OPTIMIZER_SETTINGS: dict[str, Sequence[OptimizerSettings]] = {
    "sgd": SGDS,
    "adam": ADAMS,
    "adamw": ADAMWS,
    "rmsprop": RMSPROPS,
}
STEPS: list[Schedule] = [
    Constant(),
    Cosine(final_factor=0.1, warmup_steps=5),
    Constant(warmup_steps=7),
    Step(every=9, factor=0.5),
    Cosine(),
    LinearDecay(0.1, warmup_steps=3),
    ExponentialDecay(),
]
RULES = [
    None,
    EarlyStopping("val/loss", patience=2),
    None,
    EarlyStopping("train/loss", patience=1, min_delta=0.02),
    EarlyStopping("val/accuracy", patience=3),
    EarlyStopping("train/accuracy", patience=2),
]


def scenario(optimizer: str) -> list[RunSettings]:
    """Return sixteen runs that have nothing in common but their shape."""
    settings = OPTIMIZER_SETTINGS[optimizer]
    names = ["he", "normal", "xavier", "he", "xavier", "normal", "he", "zeros", *INITIALIZERS]
    assert set(names) == set(INITIALIZERS)
    return [
        RunSettings(
            seed=100 + run,
            optimizer=settings[run % len(settings)],
            schedule=STEPS[run % len(STEPS)],
            initializer=INITIALIZERS[names[run % len(names)]]([1.0, 0.5, 2.0][run % 3]),
            early_stopping=RULES[run % len(RULES)],
        )
        for run in range(N_RUNS)
    ]


class Case:
    """One shape in one type, with one sampling, optimizer and activation."""

    def __init__(
        self,
        shape: str,
        dtype: str,
        sampling: str,
        optimizer: str,
        activation: str,
        learnable: Callable[..., Examples],
    ) -> None:
        sizes, n_train, n_val, batch_size = SHAPES[shape]
        self.settings = StackSettings(
            mlp(sizes, activation),
            n_steps=26,
            batch_size=batch_size,
            evaluate_every=4,
            optimizer=optimizer,
            sampling=sampling,
            dtype=dtype,
        )
        self.examples = {
            "train": learnable(sizes, n_train),
            "val": learnable(sizes, n_val, seed=1),
        }
        self.runs = scenario(optimizer)

    def training(self, runs: Sequence[int]) -> Training:
        return Training(self.settings, [self.runs[run] for run in runs], self.examples)


def cases() -> list[tuple[str, str, str, str, str]]:
    """Combine shapes, types, samplings and optimizers; activations take turns."""
    combined = product(SHAPES, ["float32", "float64"], ["shuffled", "with_replacement"], ["sgd"])
    others = ("one hidden unit", "small odd sizes", "odd sizes", "wide")
    with_adam = [
        *product(SHAPES, ["float32", "float64"], ["shuffled"], ["adam"]),
        *product(others, ["float32", "float64"], ["shuffled"], ["adamw", "rmsprop"]),
    ]
    names = list(ACTIVATIONS)
    return [
        (*case, names[(number + number // 4) % len(names)])
        for number, case in enumerate([*combined, *with_adam])
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "dtype", "sampling", "optimizer", "activation"), cases())
def test_alone_equals_in_every_stack_by_bytes(
    shape: str,
    dtype: str,
    sampling: str,
    optimizer: str,
    activation: str,
    learnable: Callable[..., Examples],
    stories: Tell,
) -> None:
    case = Case(shape, dtype, sampling, optimizer, activation, learnable)

    def told(runs: Sequence[int]) -> list[Story]:
        training = case.training(runs)
        return stories(training, training)

    alone = [told([run])[0] for run in range(N_RUNS)]
    for n_runs in STACKS:
        assert told(range(n_runs)) == alone[:n_runs]
    permuted = np.random.default_rng(0).permutation(N_RUNS).tolist()
    assert told(permuted) == [alone[run] for run in permuted]
    # A run twice in a stack, and not only beside others.
    assert told([1, 1]) == [alone[1], alone[1]]


@pytest.mark.parametrize("optimizer", OPTIMIZER_SETTINGS)
def test_the_scenario_has_what_it_claims(
    optimizer: str, learnable: Callable[..., Examples]
) -> None:
    training = Case("odd sizes", "float64", "shuffled", optimizer, "relu", learnable).training(
        range(N_RUNS)
    )
    assert len([record for record in training if record.metrics]) == 7
    failed = [run for run, failure in enumerate(training.failures) if failure]
    stopped = training.n_steps[training.stopped_early]
    assert 2 in failed
    assert len(failed) < N_RUNS / 2
    assert len(set(stopped.tolist())) >= 3
    assert len(set(training.best_steps.tolist())) >= 4
    finished = training.n_steps == training.settings.n_steps
    assert finished.sum() >= 3


def test_the_shapes_train_in_the_way_that_they_claim() -> None:
    small = [
        supports(Network(mlp(sizes)), batch_size) for sizes, _, _, batch_size in SHAPES.values()
    ]
    assert small == [True] * 10 + [False] * 8


def test_an_overflowed_run_is_given_up_and_equals_itself_alone(
    learnable: Callable[..., Examples], stories: Tell
) -> None:
    # tanh has a value at infinity too: the loss stays finite, and the parameters are why the run
    # is given up, beside others whose momentum and decay must not touch it.
    sizes = (3, 2, 2)
    rows = learnable(sizes, 12)
    examples = {"train": Examples(np.abs(rows.X) + 0.1, rows.y)}
    settings = StackSettings(mlp(sizes, "tanh"), n_steps=12, batch_size=4, evaluate_every=1)
    runs = [RunSettings(seed, SGDS[kind]) for seed, kind in enumerate([0, 1, 3, 4, 5, 6, 7])]

    def told(n_runs: int) -> Story:
        training = Training(settings, runs[:n_runs], examples)
        training.network.parameters["layers.0.weight"][0] = np.inf
        return stories(training, training)[0]

    alone = told(1)
    assert alone.failure == "norm of the parameters is not finite at step 1"
    assert told(len(runs)) == alone
