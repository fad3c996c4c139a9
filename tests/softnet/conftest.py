"""What the tests of softnet share: rows to learn from, and all that a training leaves behind.

Fixtures hand out functions, since test modules do not import one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from softnet import Examples, Record, Training


@dataclass(frozen=True)
class Story:
    """Everything that one run of a training left behind; equal only if every bit is."""

    records: tuple[tuple[int, tuple[tuple[str, bytes], ...]], ...]
    values: bytes
    n_steps: int
    best_step: int
    stopped_early: bool
    failure: str | None


def _stories(training: Training, records: Iterable[Record]) -> list[Story]:
    evaluations: list[list[tuple[int, tuple[tuple[str, bytes], ...]]]] = [[] for _ in training.runs]
    for record in records:
        for row, run in enumerate(record.runs):
            metrics = tuple((name, of[row].tobytes()) for name, of in record.metrics.items())
            if metrics:
                evaluations[run].append((record.step, metrics))
    return [
        Story(
            tuple(evaluations[run]),
            training.values[run].tobytes(),
            int(training.n_steps[run]),
            int(training.best_steps[run]),
            bool(training.stopped_early[run]),
            training.failures[run],
        )
        for run in range(len(training.runs))
    ]


def _learnable(layer_sizes: Sequence[int], n_samples: int, seed: int = 0) -> Examples:
    rng = np.random.default_rng([seed, n_samples, *layer_sizes])
    X = rng.standard_normal((n_samples, layer_sizes[0]))
    # The same rule for every number of rows: what is learned on one split helps on another.
    rule = np.random.default_rng([7, *layer_sizes])
    scores = X @ rule.standard_normal((layer_sizes[0], layer_sizes[-1]))
    return Examples(X, np.argmax(scores + rng.normal(0, 0.3, scores.shape), axis=-1))


@pytest.fixture(scope="session")
def stories() -> Callable[[Training, Iterable[Record]], list[Story]]:
    """Tell, of each run of a training and its records, everything that can be compared."""
    return _stories


@pytest.fixture(scope="session")
def learnable() -> Callable[..., Examples]:
    """Make rows whose class mostly follows from a linear rule, so that a network can learn."""
    return _learnable


@pytest.fixture(autouse=True)
def _isolated() -> None:
    """Leave out what isolates the other tests: softnet reads no environment and knows no Hydra."""
