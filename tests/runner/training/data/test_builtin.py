"""Tables that need no file: the tutorial's, scikit-learn's, and generated points."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from sklearn import datasets

from runner.config.data import BlobsData, MoonsData, SpiralsData
from runner.system.errors import ConfigError, DataError
from runner.training.data.builtin import generate, load_bundled, tutorial_table

Name = Literal["iris", "wine", "breast_cancer", "digits"]
Make = Callable[..., BlobsData | MoonsData | SpiralsData]


def blobs(**settings: object) -> BlobsData:
    given = {"n_samples": 90, "n_features": 2, "n_classes": 3, "noise": 1.0, "seed": 0}
    return BlobsData.model_validate({"name": "blobs"} | given | settings)


def moons(**settings: object) -> MoonsData:
    return MoonsData.model_validate({"name": "moons", "n_samples": 60, "noise": 0.0} | settings)


def spirals(**settings: object) -> SpiralsData:
    given = {"name": "spirals", "n_samples": 63, "n_classes": 3, "noise": 0.0}
    return SpiralsData.model_validate(given | settings)


def test_blobs_without_noise_are_their_centres_in_turn() -> None:
    dataset = generate(blobs(noise=0.0))
    assert dataset.y[:6].tolist() == [0, 1, 2, 0, 1, 2]
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


def test_fewer_rows_than_classes_are_refused() -> None:
    assert np.isfinite(generate(spirals(n_samples=3)).X).all()
    with pytest.raises(ConfigError, match=r"data.n_samples: must be at least one row .* got 2"):
        generate(blobs(n_samples=2))


@pytest.mark.parametrize("size", [{"n_samples": 10**15}, {"n_features": 10**15}])
def test_more_than_the_memory_is_refused_at_once(size: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"must fit into this machine's .* GiB of memory, got "):
        generate(blobs(**size))


# As the tutorial prints them, row by row.
PRINTED_X = [
    *("1101", "0101", "0101", "1010", "0110", "1011", "0000", "1110"),
    *("0011", "1101", "0010", "1000", "1111", "0111", "1001", "1001"),
]
PRINTED_Y = [0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0]


def test_the_rows_of_the_tutorial_are_those_it_prints() -> None:
    dataset = tutorial_table()
    assert dataset.X.tolist() == [[float(cell) for cell in row] for row in PRINTED_X]
    assert dataset.y.tolist() == PRINTED_Y
    assert dataset.feature_names == ("feature_1", "feature_2", "feature_3", "feature_4")
    assert dataset.class_names == ("0", "1")


def test_the_digest_of_the_tutorial_stays() -> None:
    # Keys of recorded runs rest on it: a change here makes every recorded run another one.
    assert (
        tutorial_table().digest
        == "6ce45b5a473cbecb3815ae29d45c66b5686e4b143eebb050feae3765de5ec0a0"
    )


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_a_table_is_that_of_scikit_learn(name: Name) -> None:
    bunch = getattr(datasets, f"load_{name}")()
    dataset = load_bundled(name)
    assert dataset.X.tobytes() == np.ascontiguousarray(bunch.data, np.float64).tobytes()
    assert [dataset.class_names[label] for label in dataset.y] == [
        str(bunch.target_names[label]) for label in bunch.target
    ]
    assert len(dataset.class_names) == len(bunch.target_names)
    assert dataset.feature_names == tuple(map(str, bunch.feature_names))
    assert dataset.source == f"scikit-learn {name}"
    assert all(type(text) is str for text in dataset.feature_names + dataset.class_names)


def test_classes_are_sorted_by_name() -> None:
    assert load_bundled("breast_cancer").class_names == ("benign", "malignant")
    assert load_bundled("digits").class_names == tuple("0123456789")
