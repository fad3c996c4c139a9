"""Whether the process that a run belongs to still lives, whatever ended it."""

import os
from pathlib import Path

import pytest

from runner.tracking.backend.liveness import Presence, dead, is_gone
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
def database(tmp_path: Path) -> Path:
    """Name a database; its file is not needed."""
    return tmp_path / "mlflow.db"


def killed(database: Path, start: Start) -> str:
    """The name of a process that was killed."""
    process = start(STAY, database)
    name = read_line(process)
    process.kill()
    process.wait()
    return name


def test_a_living_process_is_not_dead(database: Path, start: Start) -> None:
    read_line(start(STAY, database, "run"))
    assert list(dead(database)) == []


@pytest.mark.parametrize("runs", [[], ["run"]])
def test_of_processes_that_end_only_one_with_an_open_run_is_found(
    runs: list[str], database: Path, start: Start
) -> None:
    process = start(STAY, database, *runs)
    name = read_line(process)
    process.communicate()
    assert process.returncode == 0
    assert list(dead(database)) == [name] * len(runs)
    assert list(database.parent.iterdir()) == [database.with_name("mlflow.db.running")] * len(runs)


def test_a_killed_process_is_found_by_one_at_a_time_until_its_runs_are_closed(
    database: Path, start: Start
) -> None:
    name = killed(database, start)
    interrupted = dead(database)
    assert next(interrupted) == name
    assert list(dead(database)) == []
    interrupted.close()
    assert list(dead(database)) == [name]
    assert list(dead(database)) == []


def test_a_forked_process_needs_a_presence_of_its_own(database: Path) -> None:
    presence = Presence(database)
    assert presence.is_ours
    child = os.fork()
    if child == 0:
        presence.leave()  # must not remove the parent's file
        os._exit(int(presence.is_ours))
    assert os.waitpid(child, 0)[1] == 0
    assert len(list((database.parent / "mlflow.db.running").iterdir())) == 1
    presence.leave()
    assert list(database.parent.iterdir()) == []


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "0", "-1", "x", ""])
def test_a_number_that_no_process_has_is_not_gone(number: str) -> None:
    host = Presence(None).name.rsplit("-", 2)[0]
    assert not is_gone(f"{host}-{number}-1")


def test_a_process_is_gone_when_it_has_ended_and_not_before(database: Path, start: Start) -> None:
    process = start(STAY, database)
    name = read_line(process)
    assert not is_gone(name)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(name)  # also while nobody has asked how it ended
    process.communicate()
    assert is_gone(name)
    assert is_gone(f"{name}_0123abcd_boot_4026531836")  # as an earlier version named it
    assert not is_gone(f"another-{name}")


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow.db.running"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "thesis.tex").write_text("years of work")
    (folder / "link").symlink_to(tmp_path / "thesis.tex")
    os.mkfifo(folder / "pipe")
    for name in (
        "notes.txt",
        "x' or 'a' = 'a",
        "host-1",
        "host-1-2",
        "host-1-1700000000000000000~",
    ):
        (folder / name).touch()
    before = set(folder.iterdir())
    assert list(dead(tmp_path / "mlflow.db")) == []
    assert set(folder.iterdir()) == before
