"""Whether the process that a run belongs to still lives, whatever ended it."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runner.tracking.backend.liveness import Presence, dead, is_gone
from runner.tracking.backend.machines import Origin, started_ns
from tests.runner.tracking.conftest import Start, read_line

STAY = """
import sys
from pathlib import Path
from runner.tracking.backend.liveness import Presence
presence = Presence(Path(sys.argv[1]))
presence.open_runs.update(sys.argv[2:])
print(presence.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Name a database; its file is not needed."""
    return tmp_path / "mlflow.db"


def test_a_living_process_is_not_dead(place: Path, start: Start) -> None:
    read_line(start(STAY, place, "run"))
    assert list(dead(place)) == []


def test_a_killed_process_is_found_once(place: Path, start: Start) -> None:
    process = start(STAY, place)
    name = read_line(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(dead(place)) == [name]
    assert list(dead(place)) == []


def test_a_process_that_ends_well_leaves_nothing(place: Path, start: Start) -> None:
    process = start(STAY, place)
    read_line(process)
    process.communicate()
    assert list(dead(place)) == []
    assert list(place.parent.iterdir()) == []


def test_a_process_that_ends_with_an_open_run_is_found(place: Path, start: Start) -> None:
    process = start(STAY, place, "run")
    name = read_line(process)
    process.communicate()
    assert process.returncode == 0
    assert list(dead(place)) == [name]


def test_nobody_else_sees_a_dead_process_that_is_being_looked_at(place: Path, start: Start) -> None:
    process = start(STAY, place)
    name = read_line(process)
    process.kill()
    process.wait()
    looking = dead(place)
    assert next(looking) == name
    assert list(dead(place)) == []
    assert list(looking) == []


def test_one_that_could_not_be_dealt_with_is_found_again(place: Path, start: Start) -> None:
    process = start(STAY, place)
    name = read_line(process)
    process.kill()
    process.wait()
    looking = dead(place)
    next(looking)
    looking.close()
    assert list(dead(place)) == [name]


def test_a_forked_process_needs_a_sign_of_its_own(place: Path) -> None:
    presence = Presence(place)
    assert presence.is_ours
    child = os.fork()
    if child == 0:
        presence.leave()  # must not take the parent's sign away
        os._exit(int(presence.is_ours))
    assert os.waitpid(child, 0)[1] == 0
    assert len(list((place.parent / "mlflow.db.running").iterdir())) == 1
    presence.leave()
    assert list(place.parent.iterdir()) == []


def test_a_name_says_host_and_process() -> None:
    name = Presence(None).name
    assert f"-{os.getpid()}-" in name


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "0", "-1", "x", ""])
def test_a_number_that_no_process_has_is_not_gone(number: str) -> None:
    assert not is_gone(f"{Origin.here().host}-{number}-1")


def name_of(origin: Origin, number: int, began_ns: int) -> str:
    return f"{origin.host}-{number}-{began_ns}_{origin.name}"


@pytest.fixture
def ended(start: Start) -> int:
    """The number of a process that is no more."""
    process = start("pass")
    process.communicate()
    return process.pid


def test_a_process_is_gone_when_it_has_ended_and_not_before(place: Path, start: Start) -> None:
    process = start(STAY, place)
    name = read_line(process)
    assert not is_gone(name)
    process.communicate()
    assert is_gone(name)


def test_an_earlier_version_said_host_and_number_alone(ended: int) -> None:
    host = Origin.here().host
    assert is_gone(f"{host}-{ended}-1")
    assert not is_gone(f"{host}-{os.getpid()}-1")
    assert not is_gone(f"another-{host}-{ended}-1")


def test_a_container_cannot_tell_whether_another_one_lives(ended: int) -> None:
    here = Origin.here()
    other = replace(here, pid_namespace=f"{here.pid_namespace}1")
    for began_ns in (1, time.time_ns()):
        assert not is_gone(name_of(other, ended, began_ns))


def test_another_machine_of_the_same_name_is_not_judged(ended: int) -> None:
    other = replace(Origin.here(), machine="another", boot="another")
    for began_ns in (1, time.time_ns()):
        assert not is_gone(name_of(other, ended, began_ns))


def test_what_ran_before_this_machine_was_started_is_gone() -> None:
    here = replace(Origin.here(), machine="this", boot="now")
    before = replace(here, boot="before", pid_namespace="1")
    number = os.getpid()  # whose it is now says nothing
    assert is_gone(name_of(before, number, started_ns() - 10**9), here)
    assert not is_gone(name_of(before, number, time.time_ns()), here)
    assert not is_gone(f"{here.host}-{number}-{'9' * 5000}_{before.name}", here)


def test_where_the_system_says_nothing_host_and_number_decide(ended: int, tmp_path: Path) -> None:
    bare = Origin.here(tmp_path)
    assert is_gone(name_of(bare, ended, 1), bare)
    assert not is_gone(name_of(bare, os.getpid(), 1), bare)
    assert not is_gone(name_of(bare, ended, 1))


def test_what_is_no_file_of_a_process_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow.db.running"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "thesis.tex").write_text("years of work")
    (folder / "link").symlink_to(tmp_path / "thesis.tex")
    os.mkfifo(folder / "pipe")
    assert list(dead(tmp_path / "mlflow.db")) == []
    assert {path.name for path in folder.iterdir()} == {"folder", "link", "pipe"}
