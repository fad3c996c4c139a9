"""The bar on a terminal and the lines elsewhere, and that nothing stops the work."""

import contextlib
import io
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from runner.report import progress as module
from runner.report.progress import ProgressBar
from tests.runner.terminals import Terminal, plain

CHECKOUT = Path(__file__).resolve().parents[3]
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report every call, from the first one."""
    for name in ("_BAR_AFTER_S", "_BAR_EVERY_S", "_LINE_EVERY_S", "_STARTING_S"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


@contextlib.contextmanager
def showing(total: int, description: str, file: TextIO) -> Iterator[ProgressBar]:
    with contextlib.redirect_stderr(file):
        bar = ProgressBar(total, description)
    try:
        yield bar
    finally:
        bar.close()


def test_what_is_soon_done_shows_nothing() -> None:
    file = io.StringIO()
    with showing(10_000, "quick", file) as bar:
        for _ in range(10_000):
            bar.advance(1, loss=0.5)
    with Terminal() as terminal:
        with showing(10_000, "quick", terminal.file) as bar:
            bar.advance(10_000)
        assert file.getvalue() == terminal.text() == ""


def test_without_a_terminal_a_line_says_how_far_it_is(at_once: None) -> None:
    file = io.StringIO()
    with showing(4000, "tutorial", file) as bar:
        bar.advance(1000)
        bar.advance(1000, loss=0.123456)
        bar.advance(2000)
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("tutorial: 25 %, 1,000 of 4,000 steps, ")
    assert lines[0].endswith(" left")
    assert re.search(r", [\d,.e+]+ steps/s, ", lines[0])
    assert lines[1].endswith(" left, loss 0.1235")
    assert lines[2:] == ["tutorial: 100 %, 4,000 of 4,000 steps, loss 0.1235"]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_bar_keeps_to_one_line(
    width: int, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    name = "a-name-that-is-as-long-as-names-get-here"
    with Terminal() as terminal, showing(4000, name, terminal.file) as bar:
        bar.advance(1000, loss=0.123456)
        *_, shown = plain(terminal.text()).strip().split("\r")
    assert "\n" not in shown
    assert len(shown) <= width
    assert "1,000 of 4,000 steps" in shown
    assert shown.startswith("a-n")


@pytest.mark.parametrize(
    ("share_done", "elapsed_s", "left"),
    [
        (0.5, 7.2, "8 s"),
        (0.5, 200, "3 min 20 s"),
        (0.1, 1000, "2 h 30 min"),
        (0.5, 59.5, "1 min 0 s"),
    ],
)
def test_the_rest_takes_as_long_as_the_pace_so_far(
    share_done: float, elapsed_s: float, left: str
) -> None:
    bar = ProgressBar(1000, "work")
    bar.advance(round(1000 * share_done))
    assert f"{left} left" in bar.text(elapsed_s)


@pytest.mark.parametrize(("n_done", "elapsed_s"), [(500, 2.0), (10, 40.0)])
def test_nothing_is_said_of_the_rest_while_the_pace_is_that_of_the_start(
    n_done: int, elapsed_s: float
) -> None:
    bar = ProgressBar(1000, "work")
    bar.advance(n_done)
    assert "steps/s" in bar.text(elapsed_s)
    assert "left" not in bar.text(elapsed_s)
    assert "left" in bar.text(70.0)


def test_on_a_terminal_a_bar_grows_and_goes_away(at_once: None) -> None:
    with Terminal() as terminal:
        with showing(4000, "tutorial", terminal.file) as bar:
            bar.advance(1000)
            first = terminal.text()
            # A process killed here must not leave the cursor hidden.
            assert first.rindex(SHOW_CURSOR) > first.rindex(HIDE_CURSOR)
            bar.advance(2000, loss=0.5)
            second = terminal.text()
        last = terminal.text()
    assert "tutorial ━" in plain(first)
    assert "25 %, 1,000 of 4,000 steps" in plain(first)
    assert "75 %, 3,000 of 4,000 steps" in plain(second)
    assert "loss 0.5" in plain(second)
    assert plain(last).strip().endswith("loss 0.5")  # drawn once more, then wiped:
    assert last.endswith("\x1b[1A\x1b[2K")


def test_more_steps_than_expected_and_none_at_all_are_fine(at_once: None) -> None:
    file = io.StringIO()
    with showing(10, "over", file) as bar:
        bar.advance(20)
    with showing(0, "empty", file) as bar:
        bar.advance(0)
    assert file.getvalue() == "over: 100 %, 20 of 10 steps\nempty: 100 %, 0 of 0 steps\n"


def test_names_act_on_nothing(at_once: None) -> None:
    hostile = "\x1b[5m\x07[red]x[/red] {task.total}"
    file = io.StringIO()
    with Terminal() as terminal:
        for stream in (terminal.file, file):
            with showing(10, hostile, stream) as bar:
                bar.advance(5)
        for text in (plain(terminal.text()), file.getvalue()):
            assert r"\x1b[5m\x07[red]x[/red] {task.total}" in text
            assert "\x07" not in text


def test_a_terminal_that_has_gone_stops_nothing(at_once: None) -> None:
    with Terminal() as terminal, showing(10, "bar", terminal.file) as bar:
        bar.advance(1)
        terminal.hang_up()
        for _ in range(9):
            bar.advance(1)


def test_a_closed_or_absent_stream_stops_nothing(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    with showing(10, "lines", file) as bar:
        file.close()
        bar.advance(1)
        bar.advance(1)
    with showing(10, "lines", file) as bar:
        bar.advance(1)
    monkeypatch.setattr(sys, "stderr", None)
    ProgressBar(10, "lines").advance(1)


def test_a_broken_pipe_stops_nothing(at_once: None) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    with showing(10, "lines", file) as bar:
        bar.advance(1)
        bar.advance(1)
    with pytest.raises(BrokenPipeError):
        file.close()


def test_ctrl_c_leaves_a_clean_terminal() -> None:
    code = (
        "import itertools\n"
        "from runner.jobs.events import Progress, Started\n"
        "from runner.report import progress\n"
        "from runner.report.console import Console\n"
        "progress._BAR_AFTER_S = 0.0\n"
        "with Console() as console:\n"
        "    console(Started('endless', 10**9))\n"
        "    for _ in itertools.count(): console(Progress(1))\n"
    )
    with Terminal() as terminal:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=CHECKOUT,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
            stdout=subprocess.DEVNULL,
            stderr=terminal.file,
        )
        before = ""
        deadline = time.monotonic() + 60
        while "jobs" not in before:
            left_s = max(0.0, deadline - time.monotonic())
            assert select.select([terminal._master], [], [], left_s)[0], before
            before += terminal.text()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == -signal.SIGINT
        text = before + terminal.text()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert "\x1b[2KTraceback" in text  # the bar is wiped before anything else is printed
