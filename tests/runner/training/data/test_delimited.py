"""Delimited text that is fine as it is, and the lines that faults are found on."""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.errors import DataError
from runner.training.data.delimited import _BLOCK, _has_codes
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
        PLAIN.replace(",", " , "),
        re.sub(r"(\w+)", r'"\1"', PLAIN),
        PLAIN.replace("2", "2.0").replace("4", "+4").replace("6", "6e0"),
        "\ufeff" + PLAIN.replace("a,", '"a",').replace("\n", "\r\n").rstrip(),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        "% from MATLAB\n" + PLAIN,
        "sep=;\n" + PLAIN.replace(",", ";"),
        "sep=:\r\n" + PLAIN.replace(",", ":"),
        "# from the lab\n#\n" + PLAIN,
        PLAIN.replace("3,4", "# of no use\n3,4"),
        PLAIN.replace(",", ";").replace("2", "2,0").replace("4", "4,00"),
    ],
    ids=[
        "byte order mark", "CRLF", "CR", "no last newline", "blank lines", "spaces",
        "spaces around",
        "quoted", "other numbers", "several at once", "UTF-16", "little", "big", "percent",
        "sep=;", "sep=:", "comments", "comments between",
        "comma as a decimal",
    ],
)  # fmt: skip
def test_the_way_of_writing_does_not_matter(tmp_path: Path, content: str | bytes) -> None:
    assert read(tmp_path, "t.csv", content).digest == read(tmp_path, "t.csv", PLAIN).digest


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", "   ", ":"])
def test_other_delimiters_give_the_same(tmp_path: Path, delimiter: str) -> None:
    given = {"delimiter": delimiter} if delimiter == ":" else {}
    other = read(tmp_path, "t.csv", PLAIN.replace(",", delimiter), **given)
    assert other.digest == read(tmp_path, "t.csv", PLAIN).digest


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.xz", ".csv.bz2", ".csv.zip", ".zip", ".data"])
def test_packed_files_give_the_same(tmp_path: Path, ending: str) -> None:
    content = PLAIN.encode()
    if ending.endswith(".zip"):
        with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
            archive.writestr("inside.csv", content)
        content = stream.getvalue()
    packers = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}
    content = packers.get(Path(ending).suffix, bytes)(content)
    packed = read(tmp_path, f"t{ending}", content)
    assert (packed.name, packed.digest) == ("t", read(tmp_path, "t.csv", PLAIN).digest)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("n,label\n1,caf\xe9\n2,th\xe9\n", "windows-1252"),
        ("n,label\n1,\u20ac\n2,x\n", "windows-1252"),
        # Signs alone, as spreadsheets have them, often enough for a guess by their letters.
        ("n,label\n" + "1,\u20ac\n2,x\n" * 99, "windows-1252"),
        ("n,label\n" + "1,\xb0C\n2,x\u2122\n" * 99, "windows-1252"),
        ("n,label\n" + "1,ночью холодно\n2,утром дождь\n" * 99, "cp1251"),
    ],
)
def test_an_encoding_that_is_guessed_is_named(tmp_path: Path, text: str, encoding: str) -> None:
    found = read(tmp_path, "t.csv", text.encode(encoding))
    assert found.class_names == read(tmp_path, "u.csv", text).class_names
    assert found.reading is not None
    assert found.reading.settings["encoding"] == encoding
    assert f"read as {encoding} (if letters are wrong: data.encoding)" in found.reading.notes


def test_a_file_without_a_header_has_its_target_by_position(tmp_path: Path) -> None:
    found = read(tmp_path, "t.data", "5.1,3.5,x\n4.9,3.0,y\n", target=-1)
    assert found.X.tolist() == [[5.1, 3.5], [4.9, 3.0]]
    assert found.class_names == ("x", "y")
    assert found.reading is not None
    # A rerun and a prediction find it by its name.
    assert (found.reading.settings["header"], found.reading.settings["target"]) == (False, "2")


@pytest.mark.parametrize(
    ("text", "target", "names"),
    [
        ("a,b,1\n.3,0,0\n.4,1,1\n", -1, ("a", "b")),
        ("id,2019,2020,class\nc,.7,.1,x\nd,.2,.5,y\n", -1, ("id", "2019", "2020")),
        ("id,2019,2020,class\nc,7,1,x\nd,2,5,y\n", -1, ("id", "2019", "2020")),
        ("2019,2020\n0.3,0.4\n0.5,0.7\n", -1, ("2019",)),
        ("0,1,2\n5,6,7\n8,9,0\n", -1, ("0", "1")),
        # Data: a fraction, a number that stands below too, no number at all above numbers.
        ("5,1.5,x\n4.5,2.5,y\n", -1, ("0", "1")),
        ("1,2,x\n1,5,y\n", -1, ("0", "1")),
        ("39, State,x\n50, Private,y\n38, ?,x\n", -1, ("0", "1")),
    ],
)
def test_a_header_of_numbers_is_told_from_data(
    text: str, target: int, names: tuple[str, ...], tmp_path: Path
) -> None:
    found = read(tmp_path, "t.csv", text, target=target)
    assert found.feature_names == names
    assert found.reading is not None
    is_header = names[0] != "0" or text.startswith("0")
    assert found.reading.settings["header"] == is_header
    (note,) = (note for note in found.reading.notes if "data.header" in note)
    assert f"data.header={str(not is_header).lower()}" in note


@pytest.mark.parametrize("delimiter", [",", " "])
def test_names_behind_a_hash_are_the_header(tmp_path: Path, delimiter: str) -> None:
    rows = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0]])
    named = delimiter.join(("a", "b", "label"))
    np.savetxt(tmp_path / "numpy.txt", rows, delimiter=delimiter, header=named)
    found = read(tmp_path, "t.txt", (tmp_path / "numpy.txt").read_text())
    assert (found.feature_names, found.class_names) == (("a", "b"), ("0", "1"))


def test_the_names_of_rows_as_r_writes_them_are_a_column(tmp_path: Path) -> None:
    found = read(tmp_path, "t.txt", '"a" "label"\n"r 1" 1 "x"\n"r 2" 2 "y"\n')
    assert found.feature_names == ("Unnamed: 0", "a")
    assert found.categories == {"Unnamed: 0": ("r 1", "r 2")}


def test_words_and_class_names_keep_their_letters(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.csv", 'côte,label\n"a,b",ä "1"\n„x“,\'y\'\n"one\ntwo",z\n')
    assert dataset.categories == {"côte": ("a,b", "one\ntwo", "„x“")}
    assert dataset.class_names == ("'y'", "z", 'ä "1"')


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize(
    "text", [",05", ";05", "\n05", " 05", ",-05", ";+05", "--05", "x05", "105", ",0.5", "\r\n0"]
)
def test_codes_are_found_wherever_a_block_ends(text: str, delimiter: str) -> None:
    plain = rf"(^|[\n\r {delimiter}])[+-]?0[0-9]"
    for border in (0, _BLOCK, 2 * _BLOCK):
        for start in range(max(border - len(text) - 1, 0), border + 2):
            content = "7" * start + text + "7" * 10
            is_code = bool(re.search(plain, content[max(start - 5, 0) :]))
            assert _has_codes(content.encode(), delimiter) == is_code, start
            cut = content[: start + len(text)]
            assert _has_codes(cut.encode(), delimiter) == bool(re.search(plain, cut[-5:])), start


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
    with pytest.raises(DataError, match=rf"column 'a': must hold numbers.* line {line} 'abc'"):
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
