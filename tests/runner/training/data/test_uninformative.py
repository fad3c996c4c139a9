"""Columns that tell nothing of a new row, and those that only look so."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runner.training.data.uninformative import uninformative
from tests.runner.training.data.reading import read

N = 60
COUNT = list(range(1, N + 1))


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("Unnamed: 0", COUNT, "row numbers"),
        ("", COUNT, "row numbers"),
        ("rownames", COUNT, "row numbers"),
        ("X", [c - 1 for c in COUNT], "row numbers"),
        ("...1", COUNT, "row numbers"),
        ("X", COUNT[::-1], None),
        # Rows that were shuffled, or chosen, before they were written.
        ("", COUNT[::-1], "row numbers"),
        ("X", [3 * c for c in COUNT], "row numbers"),
        ("index", COUNT[::-1], "row numbers"),
        ("", [c / 2 for c in COUNT], None),
        ("", [1, 1, *COUNT[2:]], None),
        ("", [f"Mazda {c}" for c in COUNT], "row names"),
        ("year", [2000 + c for c in COUNT], None),
        ("time", COUNT, None),
        ("id", COUNT[::-1], "identifier"),
        ("customer_id", COUNT[::-1], "identifier"),
        ("PassengerId", COUNT[::-1], "identifier"),
        ("id", [1, 1, *COUNT[2:]], None),
        ("id", [c + 0.5 for c in COUNT], None),
        ("valid", COUNT, None),
        ("a", [7] * N, "constant"),
        ("a", ["red"] * N, "constant"),
        ("a", [None] * N, "empty"),
        ("a", [7] * (N - 1) + [None], None),
        ("name", [f"n{c}" for c in COUNT], "words that differ from row to row"),
        ("name", [f"n{c // 2}" for c in COUNT], None),
    ],
)
def test_a_column_is_left_out_for_a_reason(
    name: str, values: list[object], reason: str | None, tmp_path: Path
) -> None:
    table = pd.DataFrame({name: values, "b": np.arange(N) % 7, "label": ["x", "y"] * (N // 2)})
    dataset = read(tmp_path, "t.csv", table.to_csv(index=False))
    known = dataset.feature_names[0]
    expected = {} if reason is None else {known: reason}
    assert uninformative(dataset, np.arange(N)) == expected
    assert uninformative(dataset, np.arange(N), {known}) == {}


def test_names_of_few_rows_are_no_feature(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", '"","mpg","label"\n"Mazda",21,1\n"Fiat",22,0\n"Opel",23,1\n')
    assert uninformative(dataset, np.arange(3)) == {"Unnamed: 0": "row names"}


def test_of_times_the_hour_alone_is_a_feature(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", "t,label\n12:30,x\n,y\n06:00,x\n")
    left_out = uninformative(dataset, np.arange(3), {"t"})
    assert left_out == dict.fromkeys(("t.days", "t.month", "t.weekday"), "constant")
    assert dataset.without(left_out).X[[0, 2]].round(9).tolist() == [[12.5], [6.0]]


def test_training_rows_alone_decide_what_is_constant(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", "a,b,label\n1,1,x\n1,2,y\n2,3,x\n")
    assert uninformative(dataset, np.array([0, 1])) == {"a": "constant"}
    assert uninformative(dataset, np.array([0, 2])) == {}


def test_parts_of_dates_that_never_change_are_left_out_whoever_chose(tmp_path: Path) -> None:
    rows = "when,b,label\n2020-01-01,1,x\n2020-01-02,2,y\n2020-01-03,3,x\n"
    dataset = read(tmp_path, "t.csv", rows)
    parts = {"when.month": "constant", "when.hour": "constant"}
    for chosen in ((), {"when"}):
        assert uninformative(dataset, np.arange(3), chosen) == parts
