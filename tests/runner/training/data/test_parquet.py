"""Parquet files as other tools write them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tests.runner.training.data.faults_of_parquet import GOOD, parquet
from tests.runner.training.data.reading import read


@pytest.mark.parametrize(
    "type_",
    [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.decimal128(20, 3), pa.string()],
    ids=str,
)
def test_numbers_of_any_type_are_the_same(tmp_path: Path, type_: pa.DataType) -> None:
    values = pa.array([1.0, 2.0, 3.0]).cast(pa.int8())
    values = pa.array(["1", "2", "3"]).cast(type_) if "dec" in str(type_) else values.cast(type_)
    dataset = read(tmp_path, "t.parquet", parquet(**(GOOD | {"a": values})))
    assert dataset.X.tolist() == [[1.0, 1.0], [2.0, 0.0], [3.0, 1.0]]


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_words_of_any_type_are_the_same(tmp_path: Path, kind: str) -> None:
    words = pa.array(["red", "blue", "red"])
    words = words.dictionary_encode() if kind == "dictionary" else words.cast(kind)
    dataset = read(tmp_path, "t.parquet", parquet(**(GOOD | {"a": words})))
    assert dataset.categories == {"a": ("blue", "red")}
    assert dataset.X[:, 0].tolist() == [1.0, 0.0, 1.0]


def test_boolean_labels_are_classes(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.parquet", parquet(a=[1, 2], label=[True, False]))
    assert dataset.class_names == ("False", "True")
    assert dataset.y.tolist() == [1, 0]


def test_dots_in_names_are_part_of_them(tmp_path: Path) -> None:
    content = parquet(**{"sepal.length": [1, 2], "sepal.width": [3, 4], "label": [0, 1]})
    dataset = read(tmp_path, "t.parquet", content, features=["sepal.width"])
    assert dataset.X.tolist() == [[3.0], [4.0]]


def test_row_numbers_that_pandas_keeps_are_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame(GOOD).iloc[[2, 0, 1]].to_parquet(path)
    dataset = read(tmp_path, path.name, path.read_bytes())
    assert dataset.feature_names == ("a", "b")
    assert dataset.X[:, 0].tolist() == [3.0, 1.0, 2.0]
