"""Points in the plane and in space, drawn from a seed: blobs, moons, spirals.

Row i belongs to class i modulo n_classes, so that every stretch of rows holds every class and
the contiguous split works. NumPy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.system.errors import ConfigError
from runner.training.data.dataset import Dataset, FloatArray, check_room, make_dataset

if TYPE_CHECKING:
    from runner.config import BlobsData, MoonsData, SpiralsData

_TURNS = 1.0  # how often a spiral goes round


def generate(config: BlobsData | MoonsData | SpiralsData) -> Dataset:
    """Draw the points that a generator's settings describe.

    Parameters
    ----------
    config : BlobsData, MoonsData or SpiralsData
        `noise` is the standard deviation of each coordinate, in the units of the figure.

    Notes
    -----
    blobs: one normal cloud per class, round a centre drawn uniformly from [-10, 10] in each
    feature. moons: two interleaved half circles of radius 1. spirals: one arm per class, from
    the centre out to radius 1 in one turn.
    """
    n_classes = 2 if config.name == "moons" else config.n_classes
    n_features = config.n_features if config.name == "blobs" else 2
    if config.n_samples < n_classes:
        rule = f"at least one row for each of the {n_classes:,} classes"
        raise ConfigError("data.n_samples", rule, config.n_samples)
    table = f"{config.n_samples:,} rows x {n_features:,} features"
    check_room("data.n_samples", table, config.n_samples * n_features * 8)
    check_room("data.n_classes", f"{n_classes:,} centres", n_classes * n_features * 8)
    rng = np.random.default_rng(np.random.SeedSequence(config.seed))
    y = np.arange(config.n_samples) % n_classes
    # How far along its arm each point lies, from 0 to 1, evenly within each class.
    along = np.arange(config.n_samples) // n_classes / max(1, (config.n_samples - 1) // n_classes)
    match config.name:
        case "blobs":
            X = rng.uniform(-10.0, 10.0, (n_classes, n_features))[y]
        case "moons":
            X = _moons(along, y == 1)
        case _:
            X = _polar(along, 2.0 * np.pi * (_TURNS * along + y / n_classes))
    X += config.noise * rng.standard_normal(X.shape)
    return make_dataset(
        name=config.name,
        feature_names=[f"feature_{column + 1}" for column in range(n_features)],
        X=X,
        y=y,
        class_names=[str(label) for label in range(n_classes)],
        source=config.name,
    )


def _polar(radius: FloatArray, angle: FloatArray) -> FloatArray:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _moons(along: FloatArray, lower: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> FloatArray:
    X = _polar(np.ones_like(along), np.pi * along)
    # The lower moon is the upper one turned by half a circle about (0.5, 0.25).
    X[lower] = np.array([1.0, 0.5]) - X[lower]
    return X
