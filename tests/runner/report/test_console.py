import io
import os

import pytest

from runner.report.console import print_line, print_way_on, printing
from tests.runner.report.outcomes import HOSTILE
from tests.runner.terminals import Terminal

LINK = "https://host:5000/#/experiments/1/runs?workflowType=machine_learning"


def test_what_is_printed_comes_at_the_end_and_whole() -> None:
    file = io.StringIO()
    with printing(file) as console:
        print_line(console, ("one  ", "bold"), ("two   ", "red"))
        assert file.getvalue() == ""
    assert file.getvalue() == "one  two\n"


def test_of_what_fails_to_be_made_nothing_is_printed() -> None:
    file = io.StringIO()

    def fail() -> None:
        with printing(file) as console:
            print_line(console, ("one", ""))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert file.getvalue() == ""


def test_the_standard_output_is_that_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    with printing(None) as console:
        print_line(console, ("here", ""))
    assert capsys.readouterr().out == "here\n"


def test_without_a_terminal_nothing_is_coloured_or_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    file = io.StringIO()
    with printing(file) as console:
        print_line(console, ("x" * 500, "red"))
    assert file.getvalue() == "x" * 500 + "\n"


def test_on_a_terminal_colours_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    with Terminal() as terminal:
        with printing(terminal.file) as console:
            print_line(console, ("FAILED", "red"))
        assert terminal.text().startswith("\x1b[31mFAILED\x1b[0m")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_left_out_where_they_are_not_wanted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)
    with Terminal() as terminal:
        with printing(terminal.file) as console:
            print_line(console, ("FAILED", "red"))
        assert terminal.text() == "FAILED\n"


def test_a_link_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as terminal:
        with printing(terminal.file) as console:
            print_way_on(console, LINK, "them")
        assert terminal.text() == f"Look at them: {LINK}\n"


def test_a_link_acts_on_nothing() -> None:
    file = io.StringIO()
    with printing(file) as console:
        print_way_on(console, HOSTILE, "it")
    assert file.getvalue() == (
        "Look at it: \\x1b]0;owned\\x07\\x1b[31m[red]x[/red] :boom: \\r\\n\\u202e$y$\n"
    )


def test_a_reader_that_has_gone_is_noticed_here() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    with pytest.raises(BrokenPipeError), printing(file) as console:
        print_line(console, ("lost", ""))
    with pytest.raises(BrokenPipeError):  # what was printed is in the buffer still
        file.close()
