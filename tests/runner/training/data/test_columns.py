"""Cells become numbers, words or dates, with every number's bits and all that is missing."""

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.errors import DataError
from runner.training.data.columns import Column, Origin, Rules, numeric_column, text_column

ORIGIN = Origin("t.csv", "column 'a'", lambda row: f"line {row + 2}")
NAN = np.nan


def column(*cells: str, **rules: object) -> Column:
    return text_column("a", pa.array(cells, pa.string()), ORIGIN, Rules(**rules))  # type: ignore[arg-type]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_printed_float_is_read_to_the_last_bit(numbers: list[float]) -> None:
    expected = struct.pack(f"={len(numbers)}d", *numbers)
    assert column(*map(repr, numbers)).values.tobytes() == expected
    with_comma = [repr(number).replace(".", ",") for number in numbers]
    assert column(*with_comma, decimal=",").values.tobytes() == expected


@pytest.mark.parametrize("cell", ["1", "+1", " 1", "1 ", "1.", "1e0", "10e-1", "1.000"])
def test_a_number_may_be_written_in_many_ways(cell: str) -> None:
    assert column(cell).values.tolist() == [1.0]


@pytest.mark.parametrize(
    ("cells", "rules", "expected"),
    [
        (["1", "", "NA", "NaN", "?", "null", "None", "N/A"], {}, [1.0, *[NAN] * 7]),
        (["1", "-999", "2"], {"missing_values": frozenset(["-999"])}, [1.0, NAN, 2.0]),
        (["1.5", "-999.0"], {"missing_values": frozenset(["-999"])}, [1.5, NAN]),
        (["7", "gone"], {"missing_values": frozenset(["gone"])}, [7.0, NAN]),
        (["1,234.5", "7"], {}, [1234.5, 7.0]),
        (["1.234,5", "7"], {"decimal": ","}, [1234.5, 7.0]),
        (["12%", "3.5 %", ""], {}, [12.0, 3.5, NAN]),
        (["$1,200.50", "-$3"], {}, [1200.5, -3.0]),
        (["US$ 1.50", "-US$2"], {}, [1.5, -2.0]),
        (["EUR 1,5", "2 EUR"], {"decimal": ","}, [1.5, 2.0]),
        (["12,34,567", "1,234"], {}, [1234567.0, 1234.0]),
        (["\u22121.5", "2"], {}, [-1.5, 2.0]),
        (["(1,234.5)", "( 3 )", "7"], {}, [-1234.5, -3.0, 7.0]),
        (["($ 3)", "$7"], {}, [-3.0, 7.0]),
        (["10 €", "2,5 €"], {"decimal": ","}, [10.0, 2.5]),
        (["1 234,50 €", "12\u202f345 €"], {"decimal": ","}, [1234.5, 12345.0]),
        (["1'234.5", "12\u2019345", "7"], {}, [1234.5, 12345.0, 7.0]),
        (["1.5", "inf"], {"missing_values": frozenset(["inf"])}, [1.5, NAN]),
        (["True", "false", "", "TRUE"], {}, [1.0, 0.0, NAN, 1.0]),
        (["007", "8"], {"kinds": {"a": "number"}}, [7.0, 8.0]),
        (["7 kr.", "8"], {"formats": {"a": "kr."}}, [7.0, 8.0]),
        (["€-50", "-€ 50", "(€50)"], {}, [-50.0, -50.0, -50.0]),
    ],
)
def test_numbers(cells: list[str], rules: dict[str, object], expected: list[float]) -> None:
    found = column(*cells, **rules)
    assert found.kind == "number"
    np.testing.assert_array_equal(found.values, expected)
    assert found.is_missing.tolist() == np.isnan(expected).tolist()


@pytest.mark.parametrize(
    ("cells", "rules", "words", "values"),
    [
        (["red", "blue", "Red", "red"], {}, ("Red", "blue", "red"), [2, 1, 0, 2]),
        (["red", "", "NA"], {}, ("", "NA", "red"), [2, 0, 1]),
        (["red", "gone"], {"missing_values": frozenset(["gone"])}, ("", "red"), [1, 0]),
        (["red ", " red"], {}, ("red",), [0, 0]),
        (["00501", "10001"], {}, ("00501", "10001"), [0, 1]),
        (["1", "2"], {"kinds": {"a": "words"}}, ("1", "2"), [0, 1]),
        (["a", "b", "3"], {}, ("3", "a", "b"), [1, 2, 0]),
        (["yes", "no"], {}, ("no", "yes"), [1, 0]),
        (["2:1", "3:1"], {}, ("2:1", "3:1"), [0, 1]),
        (
            [f"{2**62 + n}" for n in range(3)],
            {},
            tuple(f"{2**62 + n}" for n in range(3)),
            [0, 1, 2],
        ),
        (["12%", "3"], {"kinds": {"a": "words"}}, ("12%", "3"), [0, 1]),
        (["01 234", "1 23", "1 2345"], {}, ("01 234", "1 23", "1 2345"), [0, 1, 2]),
        (["1_0", "0x1", "½"], {}, ("0x1", "1_0", "½"), [1, 0, 2]),
    ],
)
def test_words(
    cells: list[str], rules: dict[str, object], words: tuple[str, ...], values: list[float]
) -> None:
    found = column(*cells, **rules)
    assert (found.kind, found.words, found.values.tolist()) == ("words", words, values)
    assert found.raw_values().tolist() == [words[int(value)] for value in values]


@pytest.mark.parametrize(
    ("cells", "rules", "days"),
    [
        (["1970-01-02", "1969-12-31", "", "NA"], {}, [1.0, -1.0, NAN, NAN]),
        (["1970-01-01T12:00:00", "1970-01-02 06:00"], {}, [0.5, 1.25]),
        (["1970-01-01T01:00+01:00", "1970-01-01T00:00Z"], {}, [0.0, 0.0]),
        (["1970/01/02", "1970/02/01"], {}, [1.0, 31.0]),
        (["02.01.1970", "01.02.1970"], {}, [1.0, 31.0]),
        (["31/01/1970", "02/01/1970"], {}, [30.0, 1.0]),
        (["01/31/1970", "01/02/1970"], {}, [30.0, 1.0]),
        (["01/02/1970", "03/02/1970"], {"day_first": True}, [31.0, 33.0]),
        (["01/02/1970", "03/02/1970"], {"day_first": False}, [1.0, 60.0]),
        (["01/02/1970", "03/02/1970"], {"formats": {"a": "%d/%m/%Y"}}, [31.0, 33.0]),
        (["13.01.70", "2.02.70"], {}, [12.0, 32.0]),
        (["13.01.70 12:00", "02.02.70 00:00"], {}, [12.5, 32.0]),
        (["1970w02-1"], {"kinds": {"a": "date"}, "formats": {"a": "%Yw%W-%w"}}, [11.0]),
        (["2 Jan 1970", "31 Jan 1970"], {}, [1.0, 30.0]),
        (["January 2, 1970", "February 1, 1970"], {}, [1.0, 31.0]),
        (["01/02/70 12:00", "31/01/70 00:00"], {}, [31.5, 30.0]),
        (["1970-01-02", "NaT", "1970-01-03"], {}, [1.0, NAN, 2.0]),
        (["1/13/1970 1:05 PM", "1/2/1970 12:00 AM"], {}, [12 + 785 / 1440, 1.0]),
        (["Jan 2 1970", "Feb 1 1970"], {}, [1.0, 31.0]),
        (["May 2 1970", "May 1 1970"], {}, [121.0, 120.0]),
        (["2 May 1970", "1 May 1970"], {}, [121.0, 120.0]),
        (["Jan-2-1970", "Feb-1-1970"], {}, [1.0, 31.0]),
        (["1970-02", "1969-12"], {}, [31.0, -31.0]),
        (["Fri Jan  2 12:00:00 1970", "Sat Jan  3 06:00:00 1970"], {}, [1.5, 2.25]),
        (["19700102T120000", "19700103T060000"], {}, [1.5, 2.25]),
        (["31/12/69", "01/01/30", "31/12/29"], {}, [-1.0, -14610.0, 21914.0]),
        # Times are of some day; their hour alone is a feature.
        (["12:00", "0:30", ""], {}, [-25566.5, -25567 + 0.5 / 24, NAN]),
        (["06:00:00", "23:59:59"], {}, [-25566.75, -25567 + 86399 / 86400]),
        (["6:00 PM", "12:00 AM"], {}, [-25566.25, -25567.0]),
    ],
)
def test_dates_become_days_since_1970(
    cells: list[str], rules: dict[str, object], days: list[float]
) -> None:
    found = column(*cells, **rules)
    assert found.kind == "date"
    np.testing.assert_array_equal(found.values, days)
    expected = np.array(np.nan_to_num(days) * 86_400_000_000, "datetime64[us]")
    expected[np.isnan(days)] = np.datetime64("NaT")
    np.testing.assert_array_equal(found.raw_values(), expected)


@pytest.mark.parametrize(
    "cells", [["2020-01-01", "soon", "later"], ["1/2", "3/4"], ["12-34-56", "1-2-3"]]
)
def test_what_is_seldom_a_date_is_words(cells: list[str]) -> None:
    assert column(*cells).kind == "words"


@pytest.mark.parametrize(
    ("cells", "rules", "message"),
    [
        (["abc"], {"a": "number"}, "must hold numbers, got 1 of 1 that are none: line 2 'abc'."),
        (["0,125", "2"], {"a": "number"}, "numbers whose decimal mark is '.', such as '2', got"),
        (["31/12/2021"], {"a": "date"}, "dates written as ISO 8601, such as 2021-12-31, got"),
    ],
)
def test_rows_that_are_predicted_get_no_advice_on_settings(
    cells: list[str], rules: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        column(*cells, kinds=rules, formats={}, is_prediction=True)
    assert message in str(caught.value)
    assert "data." not in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "units", "expected"),
    [(["5 %", "7"], {"a": "%"}, [5.0, 7.0]), (["True", "0", "1", ""], {}, [1.0, 0.0, 1.0, NAN])],
)
def test_cells_of_another_file_may_be_written_less_strictly(
    cells: list[str], units: dict[str, str], expected: list[float]
) -> None:
    found = column(*cells, kinds={"a": "number"}, formats=units).values
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("cells", "rules", "is_text"),
    [
        (["1", "NA", "-999"], {"missing_values": frozenset(["-999"])}, False),
        (["1", "?"], {}, True),
        (["1.5", "."], {"missing_values": frozenset(["."])}, True),
        (["1,5"], {"decimal": ","}, True),
        (["1.500"], {"decimal": ","}, True),
        (["15"], {"decimal": ","}, False),
        (["5%", "6%"], {}, True),
    ],
)
def test_numbers_that_pandas_would_not_read_as_such_are_text(
    cells: list[str], rules: dict[str, object], is_text: bool
) -> None:
    found = column(*cells, **rules)
    assert (found.kind, found.is_text) == ("number", is_text)


def test_a_sign_that_no_cell_has_is_noted() -> None:
    for cells in (["5", "7"], ["(5)", "7"]):
        found = column(*cells, formats={"a": "kg"})
        assert (found.unit, found.notes[0]) == ("kg", "no cell has the sign kg")
    typed = numeric_column("a", np.arange(2), ORIGIN, Rules(formats={"a": "kg"}))
    assert typed.notes == ("data.formats, kg, is of text, and these are numbers or dates",)


@pytest.mark.parametrize(
    ("cells", "notes"),
    [
        (("red", "None", "NA"), ["NA is a word; if it is missing", "None is a word; if it is"]),
        (("5 %", "7%"), ["the sign % was left out"]),
        (("1,100.5", "7"), ["separators between thousands were left out"]),
        (("1 234", "7"), ["separators between thousands were left out"]),
        (("1.5e3", "-7"), []),
        (("2021-01-01 10:00+02:00",), ["times with a zone are taken in UTC"]),
        (("2021-01-01T10:00Z", "2021-01-02"), []),
    ],
)
def test_what_may_surprise_is_noted(cells: tuple[str, ...], notes: list[str]) -> None:
    found = column(*cells).notes
    assert [note[: len(start)] for note, start in zip(found, notes, strict=True)] == notes


def test_a_long_cell_with_terminal_escapes_is_cut_and_shown_as_text() -> None:
    with pytest.raises(DataError) as caught:
        column("1", "\x1b[31mred\x07" + "x" * 10_000)
    assert len(str(caught.value)) < 500
    assert str(caught.value).replace("\n", "").isprintable()
