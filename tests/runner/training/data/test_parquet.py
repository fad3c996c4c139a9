"""Parquet files as other tools write them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runner.system.errors import ConfigError
from runner.training.data import Dataset
from runner.training.data.uninformative import uninformative
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


def test_commas_in_text_are_decimal_marks_where_a_cell_proves_it(tmp_path: Path) -> None:
    def of_text(*cells: str, **settings: object) -> Dataset:
        content = parquet(**(GOOD | {"a": pa.array(cells)}))
        return read(tmp_path, "t.parquet", content, features=["a"], **settings)

    found = of_text("3,5", "1.250,0", "7")
    assert found.X.ravel().tolist() == [3.5, 1250, 7]
    assert found.reading is not None
    assert found.reading.settings["decimal"] == ","
    with pytest.raises(ConfigError, match=r"data\.decimal: must be '\.' or ','"):
        of_text("3,500", "1,250", "7")
    assert of_text("3,500", "1,250", "7", decimal=".").X.ravel().tolist() == [3500, 1250, 7]


def test_boolean_labels_are_classes(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.parquet", parquet(a=[1, 2], label=[True, False]))
    assert dataset.class_names == ("False", "True")
    assert dataset.y.tolist() == [1, 0]


def test_dots_in_names_are_part_of_them(tmp_path: Path) -> None:
    content = parquet(**{"sepal.length": [1, 2], "sepal.width": [3, 4], "label": [0, 1]})
    dataset = read(tmp_path, "t.parquet", content, features=["sepal.width"])
    assert dataset.X.tolist() == [[3.0], [4.0]]


def test_row_numbers_that_pandas_keeps_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame(GOOD).iloc[[2, 0, 1]].to_parquet(path)
    dataset = read(tmp_path, path.name, path.read_bytes())
    left_out = uninformative(dataset, np.arange(3))
    assert left_out == {"__index_level_0__": "row numbers"}
    assert dataset.without(left_out).X[:, 0].tolist() == [3.0, 1.0, 2.0]


def test_dates_and_times_of_any_unit_are_days_since_1970(tmp_path: Path) -> None:
    times = ["1970-01-02T06:00", "1970-02-01T00:00", None]
    for type_ in (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC")):
        when = pa.array(np.array(times, "datetime64[us]")).cast(type_)
        dataset = read(tmp_path, "t.parquet", parquet(**(GOOD | {"a": when})), features=["a"])
        assert dataset.feature_names == ("a.days", "a.month", "a.weekday", "a.hour")
        expected = [[1, 1, 4, 6], [31, 2, 6, 0], [np.nan] * 4]  # the first was a Friday
        np.testing.assert_array_equal(dataset.X, expected)
