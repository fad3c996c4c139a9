"""Delimited text that is fine as it is, and the lines that faults are found on."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.errors import DataError
from tests.runner.training.data.reading import read

PLAIN = "a,b,label\n1,2,x\n3,4,y\n5,6,x\n"


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        "\n\n" + PLAIN.replace("\n", "\n\n"),
        PLAIN.replace(",", ", "),
        re.sub(r"(\w+)", r'"\1"', PLAIN),
        PLAIN.replace("2", "2.0").replace("4", "+4").replace("6", "6e0"),
        "\ufeff" + PLAIN.replace("a,", '"a",').replace("\n", "\r\n").rstrip(),
    ],
    ids=[
        "byte order mark", "CRLF", "CR", "no last newline", "blank lines", "spaces",
        "quoted", "other numbers", "several at once",
    ],
)  # fmt: skip
def test_the_way_of_writing_does_not_matter(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, "t.csv", content).digest == read(tmp_path, "t.csv", PLAIN).digest


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", ":"])
def test_other_delimiters_give_the_same(tmp_path: Path, delimiter: str) -> None:
    other = read(tmp_path, "t.csv", PLAIN.replace(",", delimiter), delimiter=delimiter)
    assert other.digest == read(tmp_path, "t.csv", PLAIN).digest


@pytest.mark.parametrize(("no", "yes"), [("False", "True"), ("false", "true"), ("0", "1")])
def test_booleans_are_numbers(tmp_path: Path, no: str, yes: str) -> None:
    dataset = read(tmp_path, "t.csv", f"a,label\n{no},x\n{yes},y\n")
    assert dataset.X.tolist() == [[0.0], [1.0]]
    assert not dataset.categories


def test_words_and_class_names_keep_their_letters(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", 'côte,label\n"a,b",ä "1"\n„x“,\'y\'\n"one\ntwo",z\n')
    assert dataset.categories == {"côte": ("a,b", "one\ntwo", "„x“")}
    assert dataset.class_names == ("'y'", "z", 'ä "1"')


lines = st.lists(st.sampled_from(["word", 'said "x"', "two\nlines", "a\r\nb\n", "", "c,d"]))


@given(before=lines)
def test_a_fault_is_found_on_its_line_whatever_stands_above(
    before: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["note", "a", "label"])
    writer.writerow(["", "1", "x"])
    for note in before:
        writer.writerow([note, "2", "y"])
    line = len(stream.getvalue().replace("\r\n", "\n").split("\n"))
    writer.writerow(["", "abc", "x"])
    with pytest.raises(DataError, match=rf"t\.csv, line {line}, column 'a'"):
        read(tmp_path_factory.mktemp("t"), "t.csv", stream.getvalue(), features=["a"])


def test_a_large_table_that_pandas_wrote_is_read_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = 10_000
    table = pd.DataFrame(
        {
            "wide": rng.standard_normal(size) * 10.0 ** rng.integers(-300, 300, size),
            "whole": rng.integers(-(2**62), 2**62, size),
            "word": rng.choice(["red", "green", "blue"], size),
            "flag": rng.random(size) < 0.5,
            "label": rng.integers(0, 5, size),
        }
    )
    dataset = read(tmp_path, "t.csv", table.to_csv(index=False))
    table["word"] = table["word"].astype("category").cat.codes
    assert dataset.X.tobytes() == table.iloc[:, :4].to_numpy(np.float64).tobytes()
    assert dataset.y.tolist() == table["label"].tolist()
