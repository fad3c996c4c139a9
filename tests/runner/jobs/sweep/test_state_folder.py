"""The folder of a sweep: whoever has it works alone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.jobs.sweep.state_folder import SweepFolder
from runner.system.errors import StoreError
from tests.runner.jobs.planned import plan

CHECKOUT = Path(__file__).resolve().parents[4]
Start = Callable[[Path], "subprocess.Popen[str]"]

LOCK = """
import sys
from pathlib import Path
from runner.jobs.sweep.state_folder import SweepFolder

def say(text):
    print(text, flush=True)

with SweepFolder(Path(sys.argv[1])).locked(lambda process: say(f"waits for {process}")):
    say("has it")
    sys.stdin.read()
say("left")
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that keeps a folder until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def run(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", LOCK, str(folder)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


LOCK_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from runner.system.errors import StoreError
from runner.jobs.sweep.state_folder import SweepFolder

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # no file may grow: as on a disk that is full
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    with SweepFolder(Path(sys.argv[1])).locked(print):
        print("has it")
except StoreError as error:
    print(error)
"""


def test_a_lock_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCK_ON_A_FULL_DISK, str(tmp_path / "mine")]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(f"{tmp_path}/mine: cannot be written: file too large")
    assert len(ended.stdout.splitlines()) == 1


def not_to_be_called(process: str) -> None:
    raise AssertionError(f"waits for {process}")


def test_two_processes_take_turns(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "new" / "sweep"
    first = start(folder)
    assert line(first) == "has it"
    second = start(folder)
    assert line(second) == f"waits for {first.pid}"
    said, _ = first.communicate()
    assert (first.returncode, said) == (0, "left\n")
    assert line(second) == "has it"
    third = start(folder)
    assert line(third) == f"waits for {second.pid}"


def test_the_lock_goes_with_a_killed_process(tmp_path: Path, start: Start) -> None:
    killed = start(tmp_path)
    assert line(killed) == "has it"
    killed.kill()
    killed.wait()
    with SweepFolder(tmp_path).locked(not_to_be_called):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_who_waits_goes_on_when_the_other_is_killed(tmp_path: Path, start: Start) -> None:
    killed = start(tmp_path)
    assert line(killed) == "has it"
    waiting = start(tmp_path)
    assert line(waiting).startswith("waits for")
    killed.kill()
    assert line(waiting) == "has it"


def test_different_sweeps_do_not_wait_for_each_other(tmp_path: Path) -> None:
    one, other = SweepFolder(tmp_path / "one"), SweepFolder(tmp_path / "other")
    with one.locked(not_to_be_called), other.locked(not_to_be_called):
        assert (tmp_path / "one" / "lock").exists()


def test_an_error_inside_lets_go_of_the_lock(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt), folder.locked(not_to_be_called):
        raise KeyboardInterrupt
    with folder.locked(not_to_be_called):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = SweepFolder(tmp_path / "file" / "sweep")
    with (
        pytest.raises(StoreError, match=r"file/sweep: cannot be written: \w"),
        folder.locked(not_to_be_called),
    ):
        pass


def test_the_plan_is_written_as_lines(tmp_path: Path) -> None:
    made = plan({"seed": 1}, {"seed": 2})
    folder = SweepFolder(tmp_path).write_plan(made)
    (file,) = folder.iterdir()
    assert file.read_text("utf-8") == made.lines()
    other = plan({"seed": 3})
    SweepFolder(tmp_path).write_plan(other)
    assert file.read_text("utf-8") == other.lines()
