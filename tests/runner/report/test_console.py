"""What a person sees of the events of a session, and of a plan."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli import streams
from runner.jobs.events import (
    Ended,
    Finished,
    Interrupted,
    JobsEnded,
    Measured,
    Notice,
    Progress,
    Resumed,
    Started,
    SweepOpened,
    Waiting,
)
from runner.jobs.plan import Plan
from runner.jobs.stacks import stacks
from runner.report import progress
from runner.report.announcements import print_plan
from runner.report.console import Console
from runner.report.table import say
from runner.system.errors import StoreError
from runner.training.outcome import Outcome, Status
from tests.runner.jobs.planned import MISSING, plan
from tests.runner.report.outcomes import STORE, failed, outcome

Captured = pytest.CaptureFixture[str]


def done(**positions: Status) -> dict[int, Outcome]:
    """Make the outcomes of jobs: ``done(p0="FINISHED")``."""
    return {int(p[1:]): outcome(int(p[1:]), status=s) for p, s in positions.items()}


def sweep(n_jobs: int, **changes: object) -> Plan:
    made = plan(*({"sweep__name": "mine", "seed": seed} for seed in range(n_jobs)))
    return replace(made, **changes)


F, X = "FINISHED", "FAILED"


@pytest.mark.parametrize(
    ("earlier", "ended", "is_new", "said"),
    [
        ([], {}, True, "mine: 3 jobs to run."),
        ([], done(p0=F, p1=X), False, "mine: 3 jobs, 1 done, 1 failed and left, 1 to run."),
        (
            [],
            done(p0=F, p1=F, p2=X),
            False,
            "mine is over: 3 jobs, 1 failed, sweep.retry_failed is false.",
        ),
        (
            [],
            done(p0=F, p1=F, p2=F),
            False,
            "mine is complete: 3 jobs. sweep.restart=true would run it again.",
        ),
        # What an earlier command left is not waited for.
        (
            [0, 1],
            done(p0=F),
            False,
            "mine: 3 jobs, 1 done, 1 of an earlier command left, 1 to run.",
        ),
        (
            [0, 1],
            done(p0=F, p2=F),
            False,
            "mine: 3 jobs, 2 done, 1 of an earlier command left, 0 to run.",
        ),
        (
            [0, 1],
            done(p0=X, p1=X, p2=F),
            False,
            "mine: 3 jobs, 1 done, 2 failed and left, 0 to run.",
        ),
    ],
)
def test_the_start_of_a_sweep_says_what_is_to_be_done(
    earlier: list[int], ended: dict[int, Outcome], is_new: bool, said: str, capsys: Captured
) -> None:
    Console()(SweepOpened(sweep(3, earlier=frozenset(earlier)), ended, is_new))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{said}\n")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            Waiting("4711"),
            "Process 4711 is running this sweep; waiting for it, to go on with what it leaves.\n",
        ),
        (Resumed(1200), "Training goes on from step 1,200.\n"),
        (Resumed(108, 18), "Training goes on from step 108, after epoch 18.\n"),
        (Notice("no model:\n\x1b[31mgone"), "no model:\n\\x1b[31mgone\n"),
        (Ended(0, None), ""),
        (JobsEnded(), ""),
    ],
)
def test_events_are_announced_on_the_error_stream(
    event: Waiting | Resumed | Notice | Ended | JobsEnded, said: str, capsys: Captured
) -> None:
    Console()(event)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


def test_stacks_that_go_on_from_the_same_step_share_a_line(capsys: Captured) -> None:
    console = Console()
    for step in (36, 108, 36):
        console(Resumed(step))
    assert [line.split()[5] for line in capsys.readouterr().err.splitlines()] == ["36.", "108."]


@pytest.mark.parametrize(
    ("program", "words", "command"),
    [
        (
            "/venv/bin/runner",
            ["-m", "seed=range(0, 9)", "name=a'b"],
            """runner -m 'seed=range(0, 9)' 'name=a'"'"'b'""",
        ),
        ("/here/runner/__main__.py", ["seed=1"], "python -m runner seed=1"),
        # The next command goes on, where the interrupted one started over.
        ("runner", ["-m", "sweep.restart=true", "seed=1,2"], "runner -m seed=1,2"),
    ],
)
def test_after_an_interrupt_a_command_for_a_shell_is_given(
    program: str, words: list[str], command: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [program, *words])
    Console()(Interrupted())
    assert capsys.readouterr().err.splitlines()[-1] == f"  {command}"


@pytest.mark.parametrize(
    ("started", "n", "line"),
    [
        (Started("tutorial", 4000, "steps"), 2000, "tutorial: 50 %, 2,000 of 4,000 steps, "),
        (Started("mine", 10), 2.5, "mine: 25 %, 2 of 10 jobs, "),
        (Started("reading the records", 4, unit="runs"), 2, "reading the records: 50 %, 2 of 4 r"),
    ],
)
def test_progress_is_counted_in_steps_of_a_run_and_in_jobs_of_many(
    started: Started, n: float, line: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_STARTING_S", 0.0)
    with Console() as console:
        console(Progress(1))  # of what has not been started
        console(started)
        console(Progress(n, loss=0.5))
        console(Progress(5000))
        console(Progress(5000))
        first, last = capsys.readouterr().err.splitlines()
        assert first.startswith(line)
        assert first.endswith(" left, loss 0.5")
        assert ": 100 %" in last
        console(JobsEnded())
        console(Progress(100))
    assert capsys.readouterr().err == ""


def test_progress_says_how_many_jobs_failed_or_were_pruned(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    with Console() as console:
        console(Ended(0, failed(0)))  # before anything was started
        console(Started("mine", 5))
        for position, status in enumerate(("FINISHED", "FAILED", "PRUNED", "PRUNED")):
            console(Ended(position, outcome(position, status=status)))
        console(Ended(4, None))  # there was nothing to compare with
        console(Progress(5))
    said = "mine: 100 %, 5 of 5 jobs, 1 failed, 2 pruned\n"
    assert capsys.readouterr().err == said


def test_a_run_ends_with_its_results(capsys: Captured) -> None:
    made, console = plan({"seed": 7}), Console()
    console(Measured("seed=7", {"val/loss": 0.5}, 60, 0.4, ("figures", "model")))
    captured = capsys.readouterr()
    assert captured.out == "seed=7  60 steps, 0.4 s\n     loss\nval   0.5\n"
    assert captured.err == "Recording figures and model ...\n"
    console(Finished(made, {0: outcome(7, n_steps=60)}, where=STORE, duration_s=1.3))
    captured = capsys.readouterr()
    assert captured.out.startswith("FINISHED  took 1.3 s\nrun ")
    assert captured.out.endswith(f"Look at it: {STORE}\n")
    assert captured.err == ""
    # It failed with an error, which is reported in place of results.
    Console()(Finished(made, {}, where=STORE))
    assert capsys.readouterr().out == ""


def test_output_that_cannot_be_written_is_said_when_the_run_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, console = plan({"seed": 7}), Console()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", streams._robust(full, full.fileno()))
        console(Measured("seed=7", {"val/loss": 0.5}, 60, 0.4, ()))
        with pytest.raises(StoreError, match="the output: cannot be written: no space left"):
            console(Finished(made, {0: outcome(7, n_steps=60)}, where=STORE))


@pytest.mark.parametrize("was_stopped", [True, False])
def test_a_sweep_ends_with_its_table(was_stopped: bool, capsys: Captured) -> None:
    made = sweep(4, n_duplicates=2)
    console = Console()
    console(SweepOpened(made, {}, is_new=True))
    console(Finished(made, {1: failed(1), 0: outcome(0)}, where=STORE, was_stopped=was_stopped))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["mine", "1 run by val/loss, smallest first"]
    assert lines[4:] == [
        "2 points are given again, and run once.",
        *(["Stopped by sweep.fail_fast."] if was_stopped else []),
        "1 of 2 runs did not finish",
        "  FAILED  seed=1: no",
        "2 of 4 jobs have no result yet",
        f"Look at them: {STORE}",
    ]


def test_a_stream_that_is_closed_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        say("nobody reads it")


def test_a_plan_says_how_many_what_varies_and_what_is_left(capsys: Captured) -> None:
    points: list[dict[str, object]] = [
        {"sweep__name": "mine", "optimizer__learning_rate": rate, "seed": seed}
        for rate in (0.1, 0.2)
        for seed in range(10)
    ]
    made = plan(*points, points[0], points[0], {"sweep__name": "mine", "data": MISSING})
    finished = {position: outcome(position) for position in range(5)}
    print_plan(made, finished, stacks(made, range(5, 20), 2), 2)
    assert capsys.readouterr().out.splitlines() == [
        "mine: 21 jobs",
        "  data                     2 values: moons, file",
        "  optimizer.learning_rate  3 values: 0.1, 0.2, 0.5",
        "  seed                     10 values: 0, 1, 2, 3, ..., 9",
        "2 points are given again, and run once.",
        f"1 job cannot run: {made.jobs[-1].problem}",
        "5 done, 15 to run",
        "2 stacks of up to 8 runs, 2 workers",
    ]


def test_a_plan_of_one_job_is_said_in_the_singular(capsys: Captured) -> None:
    made = plan({"sweep__name": "mine", "seed": 1}, {"sweep__name": "mine", "seed": 1})
    print_plan(made, {}, [(0,)], 1)
    assert capsys.readouterr().out.splitlines() == [
        "mine: 1 job",
        "1 point is given again, and run once.",
        "0 done, 1 to run",
        "1 stack of up to 1 run, 1 worker",
    ]
