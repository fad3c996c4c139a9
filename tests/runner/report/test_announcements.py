"""What a sweep says before it has results."""

import io
import sys
from dataclasses import replace

import pytest

from runner.jobs.stacks import stacks
from runner.report.announcements import (
    points_run_once,
    print_plan,
    say,
    say_start,
    say_wait,
    say_way_back,
    sweep_name,
)
from runner.training.outcome import Outcome, Status
from tests.runner.jobs.planned import MISSING, plan

Captured = pytest.CaptureFixture[str]


def ended(status: Status) -> Outcome:
    return Outcome("seed=1", "", status, {}, {}, None, 1.0)


def test_a_sweep_is_called_by_its_name_or_else_by_its_address() -> None:
    assert sweep_name(plan({"sweep__name": "mine"})) == "mine"
    made = plan({"seed": 1})
    assert sweep_name(made) == f"sweep-{made.identity[:6]}"


def test_the_start_says_what_is_to_be_done(capsys: Captured) -> None:
    made = plan(*({"sweep__name": "mine", "seed": seed} for seed in range(3)))
    say_start(made, {}, is_new=True)
    say_start(made, {0: ended("FINISHED"), 1: ended("FAILED")}, is_new=False)
    say_start(made, dict(enumerate([ended("FINISHED")] * 2 + [ended("FAILED")])), is_new=False)
    say_start(made, dict(enumerate([ended("FINISHED")] * 3)), is_new=False)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "mine: 3 jobs to run.",
        "mine: 3 jobs, 1 done, 1 failed and left, 1 to run.",
        "mine is over: 3 jobs, 1 failed, sweep.retry_failed is false.",
        "mine is complete: 3 jobs. sweep.restart=true would run it again.",
    ]


def test_what_an_earlier_command_left_is_not_waited_for(capsys: Captured) -> None:
    made = plan(*({"sweep__name": "mine", "seed": seed} for seed in range(4)))
    whole = replace(made, earlier=frozenset({0, 1}))
    say_start(whole, {0: ended("FINISHED"), 2: ended("FINISHED")}, is_new=False)
    say_start(
        whole, {0: ended("FINISHED"), **dict.fromkeys((2, 3), ended("FINISHED"))}, is_new=False
    )
    say_start(whole, {p: ended("FAILED" if p < 2 else "FINISHED") for p in range(4)}, is_new=False)
    assert capsys.readouterr().err.splitlines() == [
        "mine: 4 jobs, 2 done, 1 of an earlier command left, 1 to run.",
        "mine: 4 jobs, 3 done, 1 of an earlier command left, 0 to run.",
        "mine: 4 jobs, 2 done, 2 failed and left, 0 to run.",
    ]


def test_the_one_that_is_waited_for_is_named(capsys: Captured) -> None:
    say_wait("4711")
    assert capsys.readouterr().err.startswith("Process 4711 is running this sweep")


@pytest.mark.parametrize(
    ("program", "words"),
    [("/venv/bin/runner", "runner"), ("/here/runner/__main__.py", "python -m runner")],
)
def test_the_way_back_is_a_command_for_a_shell(
    program: str, words: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "-m", "seed=range(0, 9)", "name=a'b"])
    say_way_back()
    _, command = capsys.readouterr().err.splitlines()
    assert command == f"""  {words} -m 'seed=range(0, 9)' 'name=a'"'"'b'"""


def test_the_way_back_does_not_start_over(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["runner", "-m", "sweep.restart=true", "seed=1,2"])
    say_way_back()
    assert capsys.readouterr().err.splitlines()[-1] == "  runner -m seed=1,2"


def test_what_acts_on_a_terminal_is_spelled_out(capsys: Captured) -> None:
    say("a\x1b[31mb")
    assert "\x1b" not in capsys.readouterr().err


def test_a_stream_that_is_closed_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say("nobody hears it")
    monkeypatch.setattr(sys, "stderr", None)
    say("nobody hears it")


def test_a_plan_says_how_many_what_varies_and_what_is_left(capsys: Captured) -> None:
    points: list[dict[str, object]] = [
        {"sweep__name": "mine", "optimizer__learning_rate": rate, "seed": seed}
        for rate in (0.1, 0.2)
        for seed in range(10)
    ]
    made = plan(*points, points[0], points[0], {"sweep__name": "mine", "data": MISSING})
    print_plan(made, dict(enumerate([ended("FINISHED")] * 5)), stacks(made, range(5, 20), 2), 2)
    assert capsys.readouterr().out.splitlines() == [
        "mine: 21 jobs",
        "  optimizer.learning_rate  2 values: 0.1, 0.2",
        "  seed                     10 values: 0, 1, 2, 3, ..., 9",
        f"  data                     1 value: {MISSING}",
        "2 points are given again, and run once.",
        f"1 job cannot run: {made.jobs[-1].problem}",
        "5 done, 15 to run",
        "2 stacks of up to 8 runs, 2 workers",
    ]


def test_points_that_are_like_others_are_told_apart_from_those_given_again() -> None:
    one, two, three = ({"name": name} for name in "abc")
    assert points_run_once(plan(one, one, two)) == [
        "1 point is given again, and run once.",
        "1 point is like another in all but the name or the path of equal data, and run once.",
    ]
    assert points_run_once(plan(one, two, three)) == [
        "2 points are like others in all but the name or the path of equal data, and run once."
    ]
    assert points_run_once(plan(one)) == []


def test_a_plan_of_one_job_is_said_in_the_singular(capsys: Captured) -> None:
    made = plan({"sweep__name": "mine", "seed": 1}, {"sweep__name": "mine", "seed": 1})
    print_plan(made, {}, [(0,)], 1)
    assert capsys.readouterr().out.splitlines() == [
        "mine: 1 job",
        "1 point is given again, and run once.",
        "0 done, 1 to run",
        "1 stack of up to 1 run, 1 worker",
    ]
