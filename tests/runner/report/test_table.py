import io

import pytest

from runner.report.console import printing
from runner.report.table import Column, print_table
from tests.runner.terminals import Terminal, plain

NEEDED = [Column("", ["1", "10"], "right"), Column("rate", ["0.1", "0.04"], "left")]
FURTHER = [Column("accuracy", ["0.5", "0.25"], "right"), Column("run", ["a", "b"], "left")]


def test_columns_are_aligned_as_they_ask() -> None:
    file = io.StringIO()
    with printing(file) as console:
        print_table(console, NEEDED, FURTHER)
    assert file.getvalue().splitlines() == [
        "    rate  accuracy  run",
        " 1  0.1        0.5  a",
        "10  0.04      0.25  b",
    ]


# "10  0.04" takes 8 places, two more and "accuracy" make 18, two more and "run" 23.
@pytest.mark.parametrize(
    ("width", "last"),
    [(100, "run"), (23, "run"), (22, "accuracy"), (18, "accuracy"), (17, "rate"), (3, "rate")],
)
def test_there_are_as_many_columns_as_the_terminal_has_room_for(
    width: int, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as terminal:
        with printing(terminal.file) as console:
            print_table(console, NEEDED, FURTHER)
        header, *rows = plain(terminal.text()).splitlines()
    assert header.split()[-1] == last
    left_out = {"run": [], "accuracy": ["run"], "rate": ["accuracy, run"]}[last]
    assert rows[2:] == [f"A wider terminal also shows {names}." for names in left_out]


def test_letters_of_two_places_keep_columns_straight() -> None:
    file = io.StringIO()
    columns = [Column("k", ["日本", "abc"], "left"), Column("n", ["1", "2"], "right")]
    with printing(file) as console:
        print_table(console, columns)
    assert file.getvalue().splitlines() == ["k     n", "日本  1", "abc   2"]


def test_a_table_without_rows_is_its_header() -> None:
    file = io.StringIO()
    with printing(file) as console:
        print_table(console, [Column("a", [], "left"), Column("b", [], "right")])
    assert file.getvalue() == "a  b\n"
