"""Which columns are features, and how they become a Dataset, alike for every kind of file."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from tests.runner.training.data.faults_of_arrays import npy, npz
from tests.runner.training.data.faults_of_parquet import parquet
from tests.runner.training.data.reading import read

COLUMNS = {
    "feature_1": [1.5, -2.0, 3e-300],
    "feature_2": [7, 8, 9],
    "label": [4, 2, 4],
}
CSV = "feature_1,feature_2,label\n1.5,7,4\n-2.0,8,2\n3e-300,9,4\n"


def test_equal_values_have_one_digest_in_every_kind_of_file(tmp_path: Path) -> None:
    X = np.column_stack([COLUMNS["feature_1"], COLUMNS["feature_2"]])
    y = np.array(COLUMNS["label"])
    table = np.column_stack([X, y])
    digests = {
        read(tmp_path, "t.csv", CSV).digest,
        read(tmp_path, "elsewhere.txt", CSV).digest,
        read(tmp_path, "t.tsv", CSV.replace(",", "\t"), delimiter="\\t").digest,
        read(tmp_path, "t.parquet", parquet(**COLUMNS)).digest,
        read(tmp_path, "t.npz", npz(X=X, y=y), target=None).digest,
        read(tmp_path, "t.npy", npy(table), target=-1).digest,
    }
    assert len(digests) == 1


def test_equal_words_and_booleans_have_one_digest_too(tmp_path: Path) -> None:
    text = "a,b,label\nred,True,x\nblue,False,y\n"
    columns = {"a": ["red", "blue"], "b": [True, False], "label": ["x", "y"]}
    one, other = read(tmp_path, "t.csv", text), read(tmp_path, "t.parquet", parquet(**columns))
    assert one.digest == other.digest
    assert one.categories == other.categories == {"a": ("blue", "red")}
    assert one.X.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_equal_times_and_long_numbers_have_one_digest_too(tmp_path: Path) -> None:
    text = "t,id,label\n14:30:00,4611686018427387904,x\n06:00:01,4611686018427387905,y\n"
    text += "00:00:00,4611686018427387906,y\n"
    columns = {
        "t": [dt.time(14, 30), dt.time(6, 0, 1), dt.time()],
        "id": [2**62, 2**62 + 1, 2**62 + 2],
        "label": ["x", "y", "y"],
    }
    one, other = read(tmp_path, "t.csv", text), read(tmp_path, "t.parquet", parquet(**columns))
    assert one.digest == other.digest
    assert list(one.categories) == ["id"]


def test_features_come_in_the_order_they_are_named_in(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", CSV, features=["feature_2", "feature_1"])
    assert dataset.feature_names == ("feature_2", "feature_1")
    assert dataset.X[0].tolist() == [7.0, 1.5]


@pytest.mark.parametrize(
    "text",
    [
        "id,id,a,label\n1,2,3,x\n4,5,6,y\n",
        ",note,a,label\n1,,3,x\n4,nan,6,y\n",
        "when,note,a,label\n2026-01-01,1,3,x\n,b,6,y\n",
    ],
)
def test_columns_that_are_not_asked_for_may_hold_anything(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "t.csv", text, features=["a"]).X.tolist() == [[3.0], [6.0]]


def test_a_column_may_be_named_by_its_position(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", "a,b,c\n5,6,1\n7,8,2\n", target=-1, features=["1"])
    assert dataset.feature_names == ("b",)
    assert dataset.class_names == ("1", "2")


def test_columns_that_are_dropped_are_not_read(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", "a,b,label\n5,inf,1\n7,8,2\n", drop=["b"])
    assert dataset.feature_names == ("a",)


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", "a,label\n1,x\n2,\n3,y\n4,NA\n")
    assert dataset.X.tolist() == [[1.0], [3.0], [4.0]]
    assert dataset.class_names == ("NA", "x", "y")
    assert dataset.reading is not None
    assert dataset.reading.n_without_target == 1
    numbers = read(tmp_path, "t.csv", "a,label\n1,0\n2,\n3,1\n4,NA\n")
    assert (numbers.X.tolist(), numbers.class_names) == ([[1.0], [3.0]], ("0", "1"))
