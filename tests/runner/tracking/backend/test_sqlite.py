"""The database is made once and whole, and a wrong one is refused and left as it is."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from runner.system.errors import StoreError
from runner.tracking.backend import sqlite as rules
from runner.tracking.backend.sqlite import ensure
from tests.runner.tracking.conftest import Inject, Start, read_line

MAKE = """
import sys
from pathlib import Path
from runner.tracking.backend.sqlite import ensure
ensure(Path(sys.argv[1]), Path(sys.argv[1]).parent / "artifacts")
"""


def is_whole(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return bool(checked == "ok" and tables > 50)


def cut_to(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


def of_schema(number: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (number,))

    return change


def of_something_else(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE shopping (item)")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (cut_to(0), "is empty (0 bytes), not an MLflow database. Move it away, or"),
    "half of it": (cut_to(400_000), "cannot be read: database disk image is malformed. Move"),
    "one byte short": (lambda path: cut_to(path.stat().st_size - 1)(path), "is cut short: "),
    "text": (lambda path: path.write_text("name: tutorial\n" * 999), "file is not a database. M"),
    "of another program": (of_something_else, "is a database, but not one of MLflow. Move it"),
    "newer": (of_schema("ffffffffffff"), "by a newer MLflow (its schema is ffffffffffff)."),
    "older": (of_schema("a8c4a736bde6"), "by an older MLflow (its schema is a8c4a736bde6). Keep"),
}


@pytest.mark.parametrize(("spoil", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_database_is_named_and_never_overwritten(
    database: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(database)
    before = database.read_bytes()
    with pytest.raises(StoreError) as caught:
        ensure(database, database.parent / "artifacts")
    assert str(caught.value).startswith(f"{database}: ")
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]


def test_a_whole_database_is_left_alone(database: Path) -> None:
    before = database.read_bytes()
    ensure(database, database.parent / "artifacts")
    assert database.read_bytes() == before


@pytest.mark.parametrize("folder", ["a b", "50%25", "a#b", "Größe", "it's"])
def test_folders_may_have_odd_names(tmp_path: Path, migrated_database: Path, folder: str) -> None:
    database = tmp_path / folder / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(migrated_database, database)
    ensure(database, database.parent / "artifacts")


LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = DELETE")  # with a log nobody is kept from reading
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_a_short_lock_is_waited_for(database: Path, start: Start) -> None:
    assert rules.LOCKED_FOR_S > 19
    read_line(start(LOCK, database, 1))
    ensure(database, database.parent / "artifacts")


def test_a_long_lock_is_named(
    database: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "LOCKED_FOR_S", 0.2)
    read_line(start(LOCK, database, 60))
    with pytest.raises(
        StoreError, match=r"mlflow\.db: stayed locked by another program for 0\.2 s"
    ):
        ensure(database, database.parent / "artifacts")


MAKE_AS_NOBODY = """
import os, sys
from pathlib import Path
from runner.tracking.backend.sqlite import ensure
if os.geteuid() == 0:  # who may write anywhere
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
ensure(Path(sys.argv[1]), Path(sys.argv[1]).parent / "artifacts")
"""


@pytest.mark.parametrize("there", [True, False], ids=["a database in it", "nothing in it"])
def test_a_read_only_folder_is_named(migrated_database: Path, start: Start, there: bool) -> None:
    # Not in tmp_path, which is for its owner's eyes alone.
    with TemporaryDirectory() as name:
        database = Path(name, "mlflow.db")
        if there:
            shutil.copy(migrated_database, database)
        Path(name).chmod(0o555)
        process = start(MAKE_AS_NOBODY, database)
        _, said = process.communicate()
        assert f"StoreError: {database}: cannot be written" in said.splitlines()[-1]
        assert [path.name for path in Path(name).iterdir()] == ["mlflow.db"] * there


MAKE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from runner.tracking.backend.sqlite import ensure
sys.dont_write_bytecode = True  # which renames files too
database, size = Path(sys.argv[1]), int(sys.argv[2])
unfinished = database.with_name(".mlflow.db.part")

def die():
    os.kill(os.getpid(), signal.SIGKILL)

@event.listens_for(Engine, "after_cursor_execute")
def die_at_size(*_):
    if size and unfinished.stat().st_size > size:
        die()

if not size:
    sys.addaudithook(lambda event, _: event == "os.rename" and die())
ensure(database, database.parent / "artifacts")
"""


def test_a_kill_while_it_is_made_leaves_nothing_or_all(tmp_path: Path, start: Start) -> None:
    database = tmp_path / "mlflow.db"
    # Early and late in the migrations, and just before it gets its name; each process finds what
    # the one before has left.
    for size in (100_000, 600_000, 0):
        process = start(MAKE_AND_DIE, database, size)
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        assert (tmp_path / ".mlflow.db.part").exists()
        assert not database.exists()
    ensure(database, tmp_path / "artifacts")
    assert is_whole(database)
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path: Path, inject: Inject) -> None:
    database = tmp_path / "mlflow.db"
    run = inject("pwrite64:error=ENOSPC:when=1000+", MAKE, database)
    said = run.stderr.splitlines()[-1]
    assert said.startswith(f"runner.system.errors.StoreError: {database}: the disk is full (")
    assert said.endswith(" bytes free)")
    assert {path.name for path in tmp_path.iterdir()} <= {".mlflow.db.lock"}


@pytest.mark.parametrize("name", ["a b", "50%", "%20", "what?", "Größe#1"])
def test_a_database_is_only_read_wherever_it_is(
    name: str, migrated_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    file = Path(shutil.copy(migrated_database, tmp_path / name / "mlflow.db"))
    monkeypatch.chdir(tmp_path / name)
    client = MlflowClient(rules.reading_uri(file))
    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]
    with pytest.raises(MlflowException, match="readonly database"):
        client.create_experiment("new")
    assert not (tmp_path / name / "file:").exists()


def test_a_database_that_can_be_written_is_not_read_only(database: Path) -> None:
    assert not rules.is_read_only(database)
    assert not rules.is_read_only(database.with_name("missing.db"))
    rules.require_writable(database)
