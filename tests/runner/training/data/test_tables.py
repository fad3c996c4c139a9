"""Which columns are features, and how they become a Dataset, alike for every kind of file."""

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


def test_a_column_may_be_named_by_a_number(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", "0,1,2\n5,6,1\n7,8,2\n", target=2, features=[1])
    assert dataset.X.tolist() == [[6.0], [8.0]]
