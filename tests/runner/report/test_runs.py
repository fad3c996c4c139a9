import io

import pytest

from runner.report import print_outcomes
from runner.training.outcome import Outcome
from tests.runner.report.outcomes import HOSTILE, STORE, outcome, table
from tests.runner.terminals import ESCAPE, Terminal, plain


def printed(outcomes: list[Outcome], metric: str = "val/loss", store: str = STORE) -> str:
    file = io.StringIO()
    print_outcomes(outcomes, metric, store, file)
    return file.getvalue()


def test_one_run_is_told_in_full() -> None:
    metrics = {
        "train/loss": 0.012345, "train/accuracy": 1.0, "val/loss": 0.5, "val/accuracy": 0.75,
        "test/loss": 0.25, "test/accuracy": 29 / 30, "best/step": 1200.0,
    }  # fmt: skip
    assert printed([outcome(7, name="tutorial", metrics=metrics, n_steps=4000)]) == (
        "tutorial  FINISHED  4,000 steps, 1.3 s\n"
        "          loss  accuracy\n"
        "train  0.01235    1.0000\n"
        "val        0.5    0.7500\n"
        "test      0.25    0.9667\n"
        "best/step 1,200\n"
        "run 00000000000000000000000000000007\n"
        f"Look at it: {STORE}\n"
    )


def test_one_failed_run_says_why() -> None:
    failed = outcome(status="FAILED", failure="loss is not finite at step 3", metrics={})
    lines = printed([failed]).splitlines()
    assert lines[:2] == ["seed=0  FAILED  1.3 s", "  loss is not finite at step 3"]


def test_runs_are_ranked_with_the_best_first() -> None:
    runs = [outcome(number, metrics={"val/loss": loss}) for number, loss in enumerate([3, 1, 2])]
    text = printed(runs)
    assert text.startswith("3 runs by val/loss, smallest first\n")
    assert [row[:3] for row in table(text)[1:]] == [
        ["1", "1", "1"],
        ["2", "2", "2"],
        ["3", "0", "3"],
    ]


def test_accuracy_is_best_when_large() -> None:
    runs = [outcome(n, metrics={"val/accuracy": share}) for n, share in enumerate([0.3, 0.9, 0.6])]
    text = printed(runs, "val/accuracy")
    assert text.startswith("3 runs by val/accuracy, largest first\n")
    assert [row[1] for row in table(text)[1:]] == ["1", "2", "0"]


def test_only_what_varied_has_a_column() -> None:
    runs = [
        outcome(
            n, varied={"experiment": "digits", "optimizer.learning_rate": rate, "seed": str(n % 2)}
        )
        for n, rate in enumerate(["0.1", "0.1", "0.2"])
    ]
    assert table(printed(runs))[0] == [
        "learning_rate", "seed", "val/loss", "val/accuracy", "seconds", "run",
    ]  # fmt: skip


def test_times_that_would_all_be_zero_are_left_out() -> None:
    quick = [outcome(n, duration_s=0.04) for n in range(2)]
    assert "seconds" not in table(printed(quick))[0]
    assert "seconds" in table(printed([*quick, outcome(3)]))[0]


def test_equal_endings_are_told_apart_by_the_whole_key() -> None:
    runs = [outcome(n, varied={"seed": str(n), "split.seed": str(n)}) for n in range(2)]
    assert table(printed(runs))[0][:2] == ["seed", "split.seed"]


def test_runs_that_differ_in_nothing_are_named() -> None:
    runs = [outcome(n, varied={}, name=f"run-{n}") for n in range(2)]
    assert [row[:2] for row in table(printed(runs))[1:]] == [["1", "run-0"], ["2", "run-1"]]


def test_what_did_not_finish_is_listed_with_its_reason() -> None:
    runs = [
        outcome(0),
        outcome(1, status="FAILED", failure="loss is not finite\nat step 3", metrics={}),
        outcome(2, status="KILLED", metrics={}),
    ]
    text = printed(runs)
    assert text.startswith("1 run by val/loss")
    assert len(table(text)) == 2
    assert text.splitlines()[-4:-1] == [
        "2 of 3 runs did not finish",
        "  FAILED  seed=1: loss is not finite at step 3",
        "  KILLED  seed=2: no reason was given",
    ]


def test_where_all_failed_there_is_no_table() -> None:
    runs = [outcome(n, status="FAILED", failure="no", metrics={}) for n in range(2)]
    assert printed(runs).startswith("2 of 2 runs did not finish\n")


def test_of_many_runs_the_best_are_shown_and_every_failure() -> None:
    failed = [outcome(n, status="FAILED", failure="no", metrics={}) for n in range(2000, 2050)]
    text = printed([*map(outcome, range(1000)), *failed])
    assert len(table(text)) == 1 + 20
    assert "\nand 980 more\n" in text
    assert text.count("FAILED") == 50
    assert len(table(printed([outcome(n) for n in range(40)]))) == 1 + 40


def test_the_way_to_look_further_is_said_last() -> None:
    link = "https://host:5000/#/experiments/1/runs?workflowType=machine_learning"
    assert printed([outcome(0), outcome(1)], store=link).endswith(f"Look at them: {link}\n")
    assert printed([outcome(0)]).endswith(f"Look at it: {STORE}\n")


@pytest.mark.parametrize("width", [200, 80, 45, 12])
def test_a_table_gives_up_columns_before_it_cuts_numbers(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    runs = [outcome(n, varied={"optimizer.learning_rate": "0.001", "seed": str(n)}) for n in (1, 2)]
    with Terminal() as terminal:
        print_outcomes(runs, "val/loss", STORE, terminal.file)
        text = plain(terminal.text())
    header, first, second = text.splitlines()[1:4]
    if width > 12:
        assert max(map(len, (header, first, second))) <= width
    assert header.split()[:2] == ["seed", "val/loss"]
    assert first.split()[:3] == ["1", "1", "0.501"]
    assert ("run" in header.split()) == (width > 45)
    assert f"Look at them: {STORE}\n" in text  # to be copied: never broken


def test_names_act_on_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    hostile = [
        outcome(n, name=HOSTILE, varied={HOSTILE: f"{HOSTILE}{n}"}, failure=failure, status=status)
        for n, (status, failure) in enumerate([("FINISHED", None)] * 2 + [("FAILED", HOSTILE)])
    ]
    for outcomes in (hostile, hostile[-1:]):
        with Terminal() as terminal:
            print_outcomes(outcomes, "val/loss", HOSTILE, terminal.file)
            text = terminal.text()
        assert all(
            found.endswith("m") for found in ESCAPE.findall(text)
        )  # colours of ours, nothing else
        left = plain(text)
        assert not {"\x1b", "\x07", "\r", "\u202e"} & {*left}
        assert "[red]x[/red] :boom:" in left
        assert r"\x1b]0;owned\x07\x1b[31m" in left


def test_long_text_does_not_fill_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    runs = [outcome(n, name="n" * 999, varied={"k" * 999: f"{'v' * 999}{n}"}) for n in range(2)]
    with Terminal() as terminal:
        print_outcomes(runs, "val/loss", STORE, terminal.file)
        assert max(map(len, plain(terminal.text()).splitlines())) <= 120


def test_nothing_is_printed_of_nothing() -> None:
    assert printed([]) == ""
