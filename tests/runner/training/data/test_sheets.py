"""Lines of JSON, Excel workbooks and Feather files hold what a CSV of the same rows holds."""

import datetime as dt
import io
import sys
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import feather

from runner.system.errors import DataError
from tests.runner.training.data.reading import read

CSV = """age,when,code,vip,label
1.5,2020-01-31,00501,True,x
,2021-02-01,00502,False,y
-3e-300,,00503,True,x
"""
JSON = """{"age": 1.5, "when": "2020-01-31", "code": "00501", "vip": true, "label": "x"}

{"age": null, "when": "2021-02-01", "code": "00502", "vip": false, "label": "y"}
{"label": "x", "age": -3e-300, "code": "00503", "vip": true}
"""
ROWS = [
    ["age", "when", "code", "vip", "label"],
    [1.5, dt.datetime(2020, 1, 31), "00501", True, "x"],  # noqa: DTZ001  (as Excel has them)
    [None, dt.date(2021, 2, 1), "00502", False, "y"],
    [],
    [-3e-300, None, "00503", True, "x"],
]
SETTINGS: dict[str, object] = {"columns": {"words": ["code"]}}


def workbook(*sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{number}")
        for row in rows:
            sheet.append(row)
    del book["Sheet"]
    book.save(stream := io.BytesIO())
    return stream.getvalue()


def arrow() -> bytes:
    columns = {name: [row[n] for row in ROWS[1:] if row] for n, name in enumerate(ROWS[0])}
    columns["when"] = [dt.date(2020, 1, 31), dt.date(2021, 2, 1), None]
    feather.write_feather(pa.table(columns), stream := io.BytesIO())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", JSON),
        ("t.ndjson", "\ufeff" + JSON.replace("\n", "\r\n")),
        ("t.xlsx", workbook(ROWS)),
        ("t.feather", arrow()),
    ],
)
def test_equal_rows_have_the_digest_of_their_csv(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    assert read(tmp_path, name, content).digest == read(tmp_path, "t.csv", CSV).digest


def test_the_first_sheet_of_several_is_read_and_named(tmp_path: Path) -> None:
    found = read(tmp_path, "t.xlsx", workbook(ROWS, [["other"]]))
    assert found.reading is not None
    assert "sheet s0, the first of 2" in found.reading.notes


def test_formulas_without_values_are_named(tmp_path: Path) -> None:
    content = workbook([["a", "b", "label"], [1, "=A2*2", "x"], [2, "=A3*2", "y"]])
    found = read(tmp_path, "t.xlsx", content)
    assert found.reading is not None
    assert found.reading.notes == (
        "no values in b: of formulas what Excel computed and saved is read",
    )


def test_a_sheet_without_a_header_has_its_target_by_position(tmp_path: Path) -> None:
    found = read(tmp_path, "t.xlsx", workbook([[1, 2, "x"], [3, 4.5, "y"]]), target=-1)
    assert found.X.tolist() == [[1.0, 2.0], [3.0, 4.5]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (workbook([["a", "label"], [1, "x"], [], ["b", "y"]]), "column 'a'.* row 4 'b'"),
        (
            workbook([["Report"], ["a", "label"], [1, "x"]]),
            "row 1: must name .* a title",
        ),
        (workbook([["a", "label"], [1, "x"], ["a", "label"]]), "row 3: .* the header again"),
        (workbook([]), "must hold rows, got an empty sheet 's0'"),
        (workbook(ROWS)[:300], "whole Excel workbook, got a damaged one"),
    ],
)
def test_faults_of_sheets_are_named_by_their_row(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, "t.xlsx", content)


def test_without_openpyxl_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'softnet-runner\[excel\]'"):
        read(tmp_path, "t.xlsx", workbook(ROWS))
