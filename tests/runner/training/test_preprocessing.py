"""Encoding and scaling: fitted on the training rows alone, exact through JSON."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import preprocessing as oracle

from runner.system.errors import DataError
from runner.training.data import Dataset
from runner.training.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
COLOURS = ("blue", "green", "red")


def dataset(X: object, **categories: tuple[str, ...]) -> Dataset:
    table = np.asarray(X, np.float64)
    names = list("abcdefgh"[: table.shape[1]])
    for position, name in enumerate(categories):
        names[-1 - position] = name
    return Dataset(
        name="t",
        feature_names=tuple(names),
        X=table,
        y=np.arange(len(table)) % 2,
        class_names=("0", "1"),
        source="here",
        categories=categories,
    )


def numbers(n_rows: int = 60) -> Dataset:
    return dataset(RNG.normal([0.0, 1e6, -3.0], [1e-3, 1.0, 1e3], (n_rows, 3)))


MIXED = dataset([[1.0, 10.0, 0], [2.0, 20.0, 2], [4.0, 30.0, 2], [8.0, 40.0, 1]], colour=COLOURS)
TRAIN = np.array([0, 1, 2])  # green is not among them


def test_values_worked_by_hand() -> None:
    fitted = Preprocessing.fit(MIXED, TRAIN, "minmax")
    assert fitted.encoded_feature_names == ("a", "b", "colour=blue", "colour=red")
    assert fitted.transform(MIXED.X).tolist() == [
        [0.0, 0.0, 1.0, 0.0],
        [1 / 3, 0.5, 0.0, 1.0],
        [1.0, 1.0, 0.0, 1.0],
        [7 / 3, 1.5, 0.0, 0.0],
    ]


def test_without_scaling_numbers_keep_their_bits() -> None:
    data = numbers()
    fitted = Preprocessing.fit(data, np.arange(40), "none")
    assert fitted.transform(data.X).tobytes() == data.X.tobytes()


@pytest.mark.parametrize(
    ("scaling", "scaler"),
    [
        ("standardize", oracle.StandardScaler),
        ("minmax", oracle.MinMaxScaler),
        ("robust", oracle.RobustScaler),
    ],
)
def test_scaling_equals_that_of_scikit_learn(scaling: str, scaler: type) -> None:
    data = numbers()
    expected = scaler().fit(data.X[:40]).transform(data.X)
    if scaling == "robust":
        expected /= np.sqrt(1 + np.square(expected / 3))  # the smooth clipping of RealMLP
    scaled = Preprocessing.fit(data, np.arange(40), scaling).transform(data.X)
    # Mean and variance are summed in another order, and minmax is x * scale + offset there: the
    # second column, a million times as large as its range, loses 6 digits of 16.
    assert np.allclose(scaled, expected, rtol=0, atol=1e-8)
    assert np.allclose(scaled[:, [0, 2]], expected[:, [0, 2]], rtol=1e-12, atol=1e-12)


def test_quantiles_make_a_column_normal() -> None:
    data = dataset(np.exp(RNG.normal(size=(2000, 1))))
    fitted = Preprocessing.fit(data, np.arange(1000), "quantile")
    ranks = oracle.QuantileTransformer(output_distribution="normal", n_quantiles=500)
    expected = ranks.fit(data.X[:1000]).transform(data.X)
    found = fitted.transform(data.X)
    # Between two quantiles it is a line in the scores here, and in the ranks there.
    middle = np.abs(expected) < 2
    assert np.allclose(found[middle], expected[middle], rtol=0, atol=0.02)
    # A quantile's own row has the score of its rank; beyond the last one scores stay what they are.
    few = Preprocessing.fit(dataset([[1.0], [2.0], [2.0], [9.0]]), np.arange(4), "quantile")
    end = 1.1503493803760079  # 7/8 of the normal distribution
    rows = np.array([[0.0], [1.0], [2.0], [5.5], [9.0], [1e9]])
    assert few.transform(rows)[:, 0] == pytest.approx([-end, -end, 0, end / 2, end, end])


def test_one_hot_equals_scikit_learn() -> None:
    codes = RNG.integers(0, 6, (50, 1))
    data = dataset(codes, colour=tuple("abcdef"))
    train = np.flatnonzero(codes[:, 0] != 3)
    encoder = oracle.OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    expected = encoder.fit(data.X[train]).transform(data.X)
    found = Preprocessing.fit(data, train, "standardize").transform(data.X)
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()


SCALINGS = ["standardize", "minmax", "robust"]


@pytest.mark.parametrize("scaling", [*SCALINGS, "quantile"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7e300, 5e-324])
def test_a_constant_column_becomes_zero(scaling: str, value: float) -> None:
    data = dataset(np.full((7, 1), value))
    found = Preprocessing.fit(data, np.arange(7), scaling).transform(data.X)
    assert found.tolist() == [[0.0]] * 7


@pytest.mark.parametrize("scaling", SCALINGS)
def test_numbers_too_close_for_a_deviation_stay_finite(scaling: str) -> None:
    data = dataset([[1e-200], [2e-200], [3e-200]])
    found = Preprocessing.fit(data, np.arange(3), scaling).transform(data.X)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_numbers_too_large_to_scale_are_refused(scaling: str) -> None:
    data = dataset([[1e308], [-1e308]])
    with pytest.raises(DataError, match=rf"column 'a': .*smaller.*scaling={scaling}, got 1e\+308"):
        Preprocessing.fit(data, np.arange(2), scaling)


@pytest.mark.parametrize("scaling", ["none", *SCALINGS, "quantile"])
def test_rows_outside_training_are_not_looked_at(scaling: str) -> None:
    other = MIXED.X.copy()
    other[3] = [1e9, -1e9, 0]
    changed = dataset(other, colour=COLOURS)
    one, two = (Preprocessing.fit(data, TRAIN, scaling) for data in (MIXED, changed))
    assert one == two


@pytest.mark.parametrize("scaling", ["none", *SCALINGS, "quantile"])
def test_json_keeps_every_bit(scaling: str) -> None:
    fitted = Preprocessing.fit(MIXED, TRAIN, scaling)
    again = Preprocessing.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert again.transform(MIXED.X).tobytes() == fitted.transform(MIXED.X).tobytes()


FITTED = Preprocessing.fit(MIXED, TRAIN, "standardize")
ROWS = {"a": [1.0, 8.0], "b": [10.0, 40.0], "colour": ["blue", "green"]}


@pytest.mark.parametrize(
    "columns",
    [
        ROWS,
        ROWS | {"label": ["x", "y"], "a": np.array([1, 8], np.int8)},
        ROWS | {"a": ["1", "8.0"], "b": np.array([10, 40], object)},
        ROWS | {"colour": np.array(["blue", "green"], object)},
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).astype({"colour": "category"}),
    ],
    ids=["lists", "other columns", "text", "objects", "DataFrame", "categories"],
)
def test_raw_columns_become_codes(columns: object) -> None:
    assert FITTED.encode_rows(columns).tolist() == [[1.0, 10.0, 0.0], [8.0, 40.0, 1.0]]


@pytest.mark.parametrize(
    ("colour", "code"),
    [("green", 1), ("pink", -1), ("", -2), ("Blue", -1), (None, -2), (np.nan, -2), (3, -1)],
)
def test_words_that_training_had_not_become_zeros(colour: object, code: float) -> None:
    X = FITTED.encode_rows({"a": [1], "b": [1], "colour": [colour]})
    assert X[0, 2] == code
    assert FITTED.transform(X)[0, 2:].tolist() == [0.0, 0.0]
    assert FITTED.transform(X[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": ["1", "abc"]}, r"row 1 \(the first is 0\), column 'a': must be a finite .* 'abc'"),
        ({"a": [None, 1.0]}, "row 0 .* column 'a': must be a finite number, got None"),
        ({"b": [1.0, np.nan]}, "row 1 .* column 'b': must be a finite number, got nan"),
        ({"b": np.array([1.0, np.inf])}, "row 1 .* column 'b': must be a finite number, got inf"),
        ({"b": [1.0]}, r"column 'b': must have 2 values .* got the shape \(1,\)"),
        ({"a": [[1.0], [2.0]]}, r"column 'a': must have 2 values .* got the shape \(2, 1\)"),
        ({"colour": ["blue"] * 3}, r"column 'colour': must have 2 values"),
    ],
)
def test_a_bad_cell_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        FITTED.encode_rows(ROWS | change)


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"column 'colour': .* Did you mean 'color'\?"):
        FITTED.encode_rows({"a": [1], "b": [1], "color": ["blue"]})
