"""Cells become numbers or words, with every number's bits."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.errors import DataError
from runner.training.data.columns import ColumnBuilder, Origin, index_words

ORIGIN = Origin("t.csv", "column 'a'", lambda row: f"line {row + 2}")


def built(*blocks: list[str]) -> np.ndarray | list[str]:
    builder = ColumnBuilder("a", ORIGIN)
    for block in blocks:
        builder.extend(block)
    return builder.finish().values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_printed_float_is_read_to_the_last_bit(numbers: list[float]) -> None:
    values = built([repr(number) for number in numbers])
    assert values.tobytes() == struct.pack(f"={len(numbers)}d", *numbers)


@pytest.mark.parametrize("cell", ["1", "+1", " 1", "1 ", "1.", "1e0", "10e-1", "01", "1.000"])
def test_a_number_may_be_written_in_many_ways(cell: str) -> None:
    assert built([cell]).tolist() == [1.0]


@pytest.mark.parametrize("word", ["1_0", "0x1", "1,0", "1.0.0", "--1", "e", "NA", "1 2", "½"])
def test_what_is_no_number_is_a_word(word: str) -> None:
    assert built([word]) == [word]


@pytest.mark.parametrize("blocks", [[["red", "blue", "red"]], [["red"], [], ["blue"], ["red"]]])
def test_words_stay_in_order_over_blocks(blocks: list[list[str]]) -> None:
    assert built(*blocks) == ["red", "blue", "red"]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([["1", "x", ""]], "line 3, column 'a': must be a number, got 'x'"),
        ([["1", "", "x"]], "line 3, column 'a': must be a number or a word, got ''"),
        ([["1"], ["2", "x"]], "line 4, column 'a': must be a number, got 'x'"),
        ([["x", "y"], ["2"]], "line 2, column 'a': must be a number, got 'x'"),
        ([["x"], ["y", "inf"]], "line 4, column 'a': must be a finite number or a word, got 'inf'"),
    ],
)
def test_the_first_bad_cell_is_named(blocks: list[list[str]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        built(*blocks)
    assert message in str(caught.value)


def test_a_long_cell_with_terminal_escapes_is_cut_and_shown_as_text() -> None:
    with pytest.raises(DataError) as caught:
        built(["1", "\x1b[31mred\x07" + "x" * 10_000])
    assert len(str(caught.value)) < 300
    assert str(caught.value).replace("\n", "").isprintable()


def test_words_are_numbered_in_sorted_order() -> None:
    codes, names = index_words(["red", "blue", "Red", "red"])
    assert names == ("Red", "blue", "red")
    assert codes.tolist() == [2, 1, 0, 2]
