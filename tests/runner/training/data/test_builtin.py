"""Generated points: their figures, their seeds, their limits."""

from collections.abc import Callable

import numpy as np
import pytest

from runner.config import BlobsData, MoonsData, SpiralsData
from runner.system.errors import ConfigError, DataError
from runner.training.data.builtin import generate

Make = Callable[..., BlobsData | MoonsData | SpiralsData]


def blobs(**settings: object) -> BlobsData:
    given = {"n_samples": 90, "n_features": 2, "n_classes": 3, "noise": 1.0, "seed": 0}
    return BlobsData.model_validate({"name": "blobs"} | given | settings)


def moons(**settings: object) -> MoonsData:
    return MoonsData.model_validate({"name": "moons", "n_samples": 60, "noise": 0.0} | settings)


def spirals(**settings: object) -> SpiralsData:
    given = {"name": "spirals", "n_samples": 63, "n_classes": 3, "noise": 0.0}
    return SpiralsData.model_validate(given | settings)


def test_every_stretch_of_rows_holds_every_class() -> None:
    assert generate(blobs()).y[:6].tolist() == [0, 1, 2, 0, 1, 2]


def test_blobs_without_noise_are_their_centres() -> None:
    dataset = generate(blobs(noise=0.0))
    assert len(np.unique(dataset.X, axis=0)) == 3
    assert np.abs(dataset.X).max() <= 10


def test_blobs_spread_by_the_noise() -> None:
    still, noisy = generate(blobs(n_samples=9_000, noise=0.0)), generate(blobs(n_samples=9_000))
    # The deviation of 18,000 normal numbers lies within 4 standard errors (1/sqrt(36,000)) of 1.
    assert abs((noisy.X - still.X).std() - 1.0) < 4 / np.sqrt(36_000)


def test_moons_are_half_circles() -> None:
    dataset = generate(moons())
    upper, lower = dataset.X[dataset.y == 0], dataset.X[dataset.y == 1]
    # Radius 1 within the rounding of a square root.
    assert np.allclose(np.hypot(*upper.T), 1.0, rtol=0, atol=1e-15)
    assert np.allclose(np.hypot(*(lower - [1.0, 0.5]).T), 1.0, rtol=0, atol=1e-15)
    assert upper[:, 1].min() > -1e-15
    assert lower[:, 1].max() < 0.5 + 1e-15
    assert np.allclose(upper[[0, -1]], [[1, 0], [-1, 0]], rtol=0, atol=1e-15)


def test_spirals_run_from_the_centre_to_the_unit_circle() -> None:
    dataset = generate(spirals())
    radius = np.hypot(*dataset.X.T)
    for label in range(3):
        arm = radius[dataset.y == label]
        assert arm[0] == 0.0
        assert np.all(np.diff(arm) > 0)
        assert abs(arm[-1] - 1.0) < 1e-15


@pytest.mark.parametrize("make", [blobs, moons, spirals])
def test_the_seed_decides_the_points(make: Make) -> None:
    same, other = generate(make(noise=0.1, seed=2**63 - 1)), generate(make(noise=0.1, seed=1))
    assert generate(make(noise=0.1, seed=2**63 - 1)).digest == same.digest
    assert other.digest != same.digest


def test_one_row_per_class_is_enough() -> None:
    assert np.isfinite(generate(spirals(n_samples=3)).X).all()


def test_fewer_rows_than_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.n_samples: must be at least one row .* got 2"):
        generate(blobs(n_samples=2))


@pytest.mark.parametrize("size", [{"n_samples": 10**15}, {"n_features": 10**15}])
def test_more_than_the_memory_is_refused_at_once(size: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"must fit into this machine's .* GiB of memory, got "):
        generate(blobs(**size))
