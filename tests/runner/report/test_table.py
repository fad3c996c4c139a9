"""Lines, tables and rankings, on a terminal and in a file."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout

import pytest

from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.jobs.rerun.comparison import Difference
from runner.report.rerun import RerunLine, print_environment, print_line, print_lines
from runner.report.runs import print_failures, print_run, print_runs
from runner.report.sweep import SweepReport, print_sweep, print_sweeps
from runner.report.table import (
    Printer,
    TableColumn,
    printing,
    say,
    setting_columns,
)
from runner.tracking import RecordedSweep
from runner.training.outcome import further_metrics, varying_settings
from runner.training.verdict import configuration_names
from tests.runner.report.outcomes import HOSTILE, failed, outcome, printed
from tests.runner.terminals import ESCAPE, Terminal, plain

LINK = "https://host:5000/#/experiments/1/runs?workflowType=machine_learning"
NEEDED = [TableColumn("", ["1", "10"], "right"), TableColumn("rate", ["0.1", "0.04"])]
FURTHER = [TableColumn("accuracy", ["0.5", "0.25"], "right"), TableColumn("run", ["a", "b"])]


def table(needed: Sequence[TableColumn], further: Sequence[TableColumn] = ()) -> list[str]:
    return printed(Printer.table, needed, further).splitlines()


def test_all_is_printed_at_the_end_or_nothing() -> None:
    def fail() -> None:
        with printing() as out:
            out.line("three")
            raise KeyError

    with redirect_stdout(io.StringIO()) as file:
        with printing() as out:
            out.line(("one  ", "bold"), "two   ")
            assert file.getvalue() == ""
        with pytest.raises(KeyError):
            fail()
    assert file.getvalue() == "one  two\n"


@pytest.mark.parametrize(
    ("name", "value", "printed"),
    [
        ("TERM", "xterm-256color", "\x1b[31mFAILED\x1b[0m\n"),
        ("NO_COLOR", "1", "FAILED\n"),
        ("TERM", "dumb", "FAILED\n"),
    ],
)
def test_a_terminal_gets_colours_where_they_are_wanted(
    name: str, value: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)
    with Terminal() as terminal:
        with redirect_stdout(terminal.file), printing() as out:
            out.line(("FAILED", "red"))
        assert terminal.text() == printed


def test_a_link_is_never_broken_and_acts_on_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as terminal:
        with redirect_stdout(terminal.file), printing() as out:
            out.link(LINK, "them")
            out.link(HOSTILE, "it")
        assert terminal.text() == (
            f"Look at them: {LINK}\n"
            "Look at it: \\x1b]0;owned\\x07\\x1b[31m[red]x[/red] :boom: \\r\\n\\u202e$y$\n"
        )


def test_a_reader_that_has_gone_is_noticed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    with pytest.raises(BrokenPipeError), redirect_stdout(file), printing() as out:
        out.line("lost")
    with pytest.raises(BrokenPipeError):  # what was printed is in the buffer still
        file.close()


@pytest.mark.parametrize(
    ("needed", "further", "lines"),
    [
        (
            NEEDED,
            FURTHER,
            ["    rate  accuracy  run", " 1  0.1        0.5  a", "10  0.04      0.25  b"],
        ),
        # Letters that are two wide.
        (
            [TableColumn("k", ["日本", "abc"]), TableColumn("n", ["1", "2"], "right")],
            [],
            ["k     n", "日本  1", "abc   2"],
        ),
        ([TableColumn("a", []), TableColumn("b", [])], [], ["a  b"]),
    ],
)
def test_columns_are_aligned(
    needed: list[TableColumn], further: list[TableColumn], lines: list[str]
) -> None:
    assert table(needed, further) == lines


# "10  0.04" is 8 wide, with two more and "accuracy" 18, with two more and "run" 23.
@pytest.mark.parametrize(
    ("width", "last"),
    [(100, "run"), (23, "run"), (22, "accuracy"), (18, "accuracy"), (17, "rate"), (8, "rate")],
)
def test_there_are_as_many_columns_as_the_terminal_has_room_for(
    width: int, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as terminal:
        with redirect_stdout(terminal.file), printing() as out:
            out.table(NEEDED, FURTHER)
        header, *rows = plain(terminal.text()).splitlines()
    assert header.split()[-1] == last
    left_out = {"run": [], "accuracy": ["run"], "rate": ["accuracy, run"]}[last]
    said = [f"A wider terminal also shows {names}." for names in left_out]
    assert " ".join(rows[2:]) == "".join(said)


def shown_at(width: int, monkeypatch: pytest.MonkeyPatch, *columns: TableColumn) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as terminal:
        with redirect_stdout(terminal.file), printing() as out:
            out.table(columns)
        return terminal.text().splitlines()


def test_where_all_are_needed_texts_are_cut_before_columns_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = [
        TableColumn("", ["1"], "right"),
        TableColumn("setting", ["a value that is long enough"]),
        TableColumn("another", ["and one of some length"]),
        TableColumn("val/loss", ["0.123"], "right"),
    ]
    assert (
        shown_at(50, monkeypatch, *columns)
        == [
            "   setting             another             val/loss",
            "1  a value that is...  and one of so...    0.123",
        ]
        or max(map(len, shown_at(50, monkeypatch, *columns))) <= 50
    )
    narrow = shown_at(30, monkeypatch, *columns)
    assert max(map(len, narrow[:2])) <= 30
    assert narrow[0].endswith("val/loss")
    assert narrow[2:] == ["A wider terminal also shows", "another."]


def test_lines_break_between_words_and_commands_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal() as terminal:
        with redirect_stdout(terminal.file), printing() as out:
            out.line("one two three four five ", ("six-and-a-half-longer-than-a-line", "bold"))
            out.command("runner predict sweep-0407c0 FILE.csv")
        assert terminal.text().splitlines() == [
            "one two three four",
            "five",
            "six-and-a-half-longer-than-a-line",
            "runner predict sweep-0407c0 FILE.csv",
        ]
        monkeypatch.setattr(sys, "stderr", terminal.file)
        say("one two three four five six\n  runner rerun sweep-0407c0 --check")
        assert terminal.text().splitlines() == [
            "one two three four",
            "five six",
            "  runner rerun sweep-0407c0 --check",
        ]


def test_further_metrics_are_those_recorded_beside_the_one_that_ranks() -> None:
    recorded = ["train/loss", "test/accuracy", "val/loss", "val/accuracy", "best/step"]
    assert further_metrics(recorded, "val/loss") == ["val/accuracy", "test/accuracy"]


@pytest.mark.parametrize(
    ("varied", "names"),
    [
        (
            [{"model.activation": "relu", "optimizer.learning_rate": rate} for rate in "12"],
            {"optimizer.learning_rate": "learning_rate"},
        ),
        ([{"optimizer": "adam"}, {}], {"optimizer": "optimizer"}),
        (
            [{"seed": n, "split.seed": n} for n in "12"],
            {"seed": "seed", "split.seed": "split.seed"},
        ),
        ([{"split.seed": n} for n in "12"], {"split.seed": "split.seed"}),
        ([{"seed": "0"}], {}),
        ([], {}),
    ],
)
def test_settings_that_vary_are_named_as_shortly_as_they_can_be(
    varied: list[dict[str, str]], names: dict[str, str]
) -> None:
    assert varying_settings(varied) == names


def test_settings_act_on_nothing_and_stay_short() -> None:
    names = varying_settings([{HOSTILE * 9: HOSTILE * 9}, {}])
    (column,) = setting_columns([{HOSTILE * 9: HOSTILE * 9}], names)
    shown = [*names.values(), *column.texts, *configuration_names([{HOSTILE * 9: HOSTILE}], names)]
    assert all(text.isprintable() for text in shown)
    assert max(map(len, shown)) <= 65  # a name, "=" and a value, of 32 each


RUN = failed(0, HOSTILE, name=HOSTILE, varied={HOSTILE: HOSTILE}, run_id=HOSTILE)
FINISHED = outcome(1, name=HOSTILE, varied={HOSTILE: HOSTILE, "seed": "1"}, run_id=HOSTILE)
SWEEP = RecordedSweep(HOSTILE, HOSTILE, HOSTILE, "KILLED", HOSTILE, HOSTILE, 3, 1e9, 1.0, 1, 1)
OFF = Comparison(
    Verdict.CLOSE,
    findings=(HOSTILE,),
    causes=(HOSTILE,),
    metric=Difference(HOSTILE, HOSTILE, HOSTILE),
    relative=1.0,
)
CHANGED = RerunLine(HOSTILE, None, HOSTILE, {HOSTILE: (HOSTILE,) * 2}, {HOSTILE: (1.0, 2.0)})


PRINTED: dict[str, Callable[[Printer], None]] = {
    "line": lambda out: out.line(HOSTILE, (HOSTILE, "bold")),
    "link": lambda out: out.link(HOSTILE, HOSTILE),
    "table": lambda out: out.table(
        [TableColumn(HOSTILE, [HOSTILE])], [TableColumn(HOSTILE, [HOSTILE])]
    ),
    "runs": lambda out: print_runs(out, [RUN, FINISHED], ["val/loss"]),
    "failures": lambda out: print_failures(out, [RUN] * 30),
    "verdict": lambda out: print_line(out, RerunLine(HOSTILE, OFF), 1.0),
    "verdicts": lambda out: print_lines(out, [CHANGED, RerunLine(HOSTILE, OFF)], 0, None),
    "environment": lambda out: print_environment(
        out, [EnvironmentDifference(*[HOSTILE] * 3, decides=True)]
    ),
    "run": lambda _: print_run(RUN, 1.3, HOSTILE),
    "sweeps": lambda _: print_sweeps([(SWEEP, HOSTILE)]),
    "sweep": lambda _: print_sweep(
        SweepReport(
            name=HOSTILE,
            outcomes=[RUN, FINISHED, FINISHED],
            n_jobs=9,
            metric="val/loss",
            link=HOSTILE,
            notes=[HOSTILE],
        )
    ),
}


@pytest.mark.parametrize("what", PRINTED)
def test_text_from_outside_acts_on_no_terminal(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    with Terminal() as terminal:
        with redirect_stdout(terminal.file), printing() as out:
            PRINTED[what](out)
        text = terminal.text()
    assert all(code.endswith("m") for code in ESCAPE.findall(text))  # colours of ours alone
    assert plain(text).replace("\n", "").isprintable()
    assert "\\x1b]0;owned\\x07\\x1b[31m[red]x" in plain(text)
