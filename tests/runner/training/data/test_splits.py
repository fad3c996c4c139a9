"""Splits: disjoint, repeatable, in proportion; and told apart from what cannot be split."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit

from runner.config.data import SplitConfig
from runner.system.errors import RunnerError
from runner.training.data.splits import (
    Split,
    plain_folds,
    split_rows,
    stratified_folds,
    stratified_halves,
)

Y = np.repeat([0, 1, 2], [75, 45, 30])
NAMES = ("ant", "bee", "cow")
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
KFOLD = {"name": "kfold", "n_folds": 5, "fold": 0, "val": 0.2, "stratified": True}
ALL = [
    {"name": "shuffled"} | SHARES,
    {"name": "stratified"} | SHARES,
    KFOLD,
    KFOLD | {"stratified": False},
]


def split(
    settings: dict[str, object], y: object = Y, names: tuple[str, ...] = NAMES, **more: object
) -> Split:
    config = TypeAdapter(SplitConfig).validate_python(settings | more)
    return split_rows(config, np.asarray(y, np.intp), names)


def rows(found: Split) -> list[list[int]]:
    return [found.train.tolist(), found.val.tolist(), found.test.tolist()]


def test_contiguous_takes_the_rows_in_their_order() -> None:
    found = split({"name": "contiguous", "train": 8, "val": 4, "test": 4}, np.arange(16) % 2)
    assert rows(found) == [list(range(8)), list(range(8, 12)), list(range(12, 16))]
    # Rows beyond the counts are left out.
    found = split({"name": "contiguous", "train": 3, "val": 0, "test": 1}, np.arange(16) % 2)
    assert rows(found) == [[0, 1, 2], [], [3]]


@given(n=st.integers(40, 2_000), shares=st.sampled_from([(0.7, 0.2, 0.1), (0.33, 0.33, 0.34)]))
def test_shares_that_sum_to_one_use_every_row(n: int, shares: tuple[float, ...]) -> None:
    settings = {"name": "shuffled"} | dict(zip(SHARES, shares, strict=True))
    found = split(settings, np.arange(n) % 2)
    assert sorted(chain(*rows(found))) == list(range(n))
    for part, share in zip(rows(found), shares, strict=True):
        assert abs(len(part) - share * n) <= 1


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_parts_are_disjoint_and_ascending(settings: dict[str, object]) -> None:
    found = split(settings)
    parts = rows(found)
    assert len(set(chain(*parts))) == sum(map(len, parts)) == 150
    assert all(part == sorted(part) for part in parts)
    assert all(parts)


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_the_seed_decides_the_split(settings: dict[str, object]) -> None:
    assert split(settings, seed=7).digest == split(settings, seed=7).digest
    assert split(settings, seed=7).digest != split(settings, seed=8).digest
    assert split(settings, seed=2**63 - 1).digest != split(settings, seed=0).digest


def test_the_rows_of_a_split_stay() -> None:
    # Keys of recorded runs rest on it: a change here gives every recorded run another split.
    digests = ["320a4ff6f1eb", "adb5f894ec6e", "3db016997c27"]
    assert [split(settings).digest[:12] for settings in ALL[:3]] == digests


# Members of each class, in an order that the seed shuffles; equal ones tie, and rounding is hard.
CLASSES = st.lists(st.one_of(st.integers(2, 9), st.just(7), st.integers(2, 400)), min_size=1)


def shuffled_classes(counts: list[int], seed: int) -> np.ndarray:
    labels = np.repeat(np.random.default_rng(seed).permutation(len(counts)), counts)
    return np.random.default_rng(seed + 1).permutation(labels)


@given(counts=CLASSES, seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_stratified_rows_are_those_of_scikit_learn(
    counts: list[int], seed: int, share: float
) -> None:
    y = shuffled_classes(counts, seed)
    size = round(len(counts) + share * (len(y) - 2 * len(counts)))
    oracle = StratifiedShuffleSplit(1, test_size=size, train_size=len(y) - size, random_state=seed)
    others, drawn = next(oracle.split(y, y))
    found = stratified_halves(y, size, np.random.RandomState(seed))
    assert [rows.tolist() for rows in found] == [drawn.tolist(), others.tolist()]


@given(counts=CLASSES, seed=st.integers(0, 2**32 - 1), n_folds=st.integers(2, 12))
def test_folds_are_those_of_scikit_learn(counts: list[int], seed: int, n_folds: int) -> None:
    y = shuffled_classes([count + n_folds for count in counts], seed)
    for oracle, ours in ((KFold, plain_folds), (StratifiedKFold, stratified_folds)):
        folds = oracle(n_folds, shuffle=True, random_state=seed).split(y, y)
        expected = np.empty(len(y))
        for number, (_, rows) in enumerate(folds):
            expected[rows] = number
        assert ours(y, n_folds, np.random.RandomState(seed)).tolist() == expected.tolist()


def test_the_digest_tells_where_one_part_ends() -> None:
    one = Split(np.array([0, 1]), np.array([2]), np.array([3]))
    other = Split(np.array([0]), np.array([1, 2]), np.array([3]))
    assert one.digest != other.digest


def test_rows_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        split(ALL[0]).train[0] = 1


def test_a_stratified_split_keeps_the_classes_in_proportion() -> None:
    for part in rows(split({"name": "stratified"} | SHARES)):
        assert (np.bincount(Y[part]) / len(part)).tolist() == [0.5, 0.3, 0.2]
    # Of a part of the rows too.
    found = split({"name": "stratified", "train": 50, "val": 0, "test": 0})
    assert np.bincount(Y[found.train]).tolist() == [25, 15, 10]


@pytest.mark.parametrize("stratified", [True, False])
def test_the_folds_test_every_row_once(stratified: bool) -> None:
    folds = [split(KFOLD, fold=fold, stratified=stratified).test for fold in range(5)]
    assert sorted(np.concatenate(folds).tolist()) == list(range(150))
    if stratified:
        assert all(np.bincount(Y[fold]).tolist() == [15, 9, 6] for fold in folds)


def test_kfold_validates_on_a_share_of_the_other_rows() -> None:
    found = split(KFOLD, val=0.25)
    assert [len(part) for part in rows(found)] == [90, 30, 30]
    assert np.bincount(Y[found.val]).tolist() == [15, 9, 6]
    assert [len(part) for part in rows(split(KFOLD, val=0.0))] == [120, 0, 30]


@pytest.mark.parametrize("name", ["contiguous", "shuffled", "stratified"])
def test_val_and_test_may_be_absent(name: str) -> None:
    found = split({"name": name, "train": 1.0, "val": 0.0, "test": 0.0})
    assert [len(part) for part in rows(found)] == [150, 0, 0]


def counts(train: int, val: int, test: int) -> dict[str, object]:
    return {"train": train, "val": val, "test": test}


RARE = [0] * 6 + [1] * 5 + [2]
FAULTS = [
    ("contiguous", counts(100, 40, 40), Y, ["at most the 150 rows", "100 + 40 + 40 = 180"]),
    ("shuffled", counts(151, 0, 0), Y, ["at most the 150 rows", "151"]),
    ("shuffled", SHARES | {"test": 0.001}, Y, ["split.test", "0.001 of 150 rows is 0 rows"]),
    ("shuffled", SHARES | {"val": 0.001}, Y, ["split.val", "0.001 of 150 rows is 0 rows"]),
    ("stratified", SHARES | {"train": 1e-9}, Y, ["split.train", "1e-09 of 150 rows is 0 rows"]),
    ("stratified", SHARES, RARE, ["at least 3 rows of every class", "got 1 of class 'cow'"]),
    ("stratified", counts(6, 0, 6), RARE, ["at least 2 rows of every class", "class 'cow'"]),
    ("stratified", counts(6, 0, 0), RARE, ["at least 2 rows of every class", "class 'cow'"]),
    ("stratified", counts(140, 8, 2), Y, ["split.test", "at least 3 rows", "got 2 of 150"]),
    ("stratified", counts(146, 2, 0), Y, ["split.val", "at least 3 rows", "got 2 of 150"]),
    ("stratified", counts(2, 0, 148), Y, ["split.test", "leave 3", "got 148 of 150"]),
    (
        "contiguous",
        SHARES,
        Y,
        ["training rows must hold every class", "'cow' in test alone", "split.name=shuffled"],
    ),
    ("contiguous", counts(100, 50, 0), Y, ["every class of the val rows", "'cow' in val alone"]),
    ("contiguous", counts(50, 20, 0), Y, ["at least 2 classes", "only 'ant' in all 50 rows"]),
    ("kfold", KFOLD | {"n_folds": 13}, RARE, ["split.n_folds", "at most 12", "got 13"]),
    ("kfold", KFOLD, RARE, ["at least 5 rows of every class", "got 1 of class 'cow'"]),
    (
        "stratified",
        SHARES,
        [0] * 6 + [1, 1, 2],
        ["got 2 of class 'bee', 1 of class 'cow'", "Take their rows out"],
    ),
    ("kfold", KFOLD | {"val": 0.001}, Y, ["split.val", "0.001 of 120 rows is 0 rows"]),
    ("kfold", KFOLD | {"val": 0.9999}, Y, ["split.val", "0.9999 of 120 rows is 120 rows"]),
    ("kfold", KFOLD | {"val": 0.02}, Y, ["split.val", "at least 3 rows", "got 2 of 120"]),
]


@pytest.mark.parametrize(("name", "settings", "y", "says"), FAULTS)
def test_what_cannot_be_split_is_told(
    name: str, settings: dict[str, object], y: object, says: list[str]
) -> None:
    with pytest.raises(RunnerError) as caught:
        split({"name": name} | settings, y)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert text.startswith("split")
    assert len(text.splitlines()) <= 3
    for piece in says:
        assert piece in text


def test_a_rare_class_that_training_missed_is_named() -> None:
    y = [0, 1] * 20 + [2]
    with pytest.raises(RunnerError, match="got class 'cow' in val alone"):
        split(KFOLD | {"stratified": False, "fold": 0, "seed": 14}, y)
