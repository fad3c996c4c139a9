"""The database is made once and whole, and a wrong one is refused and left as it is."""

import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runner.system.errors import StoreError
from runner.tracking import open_store
from runner.tracking.backend import sqlite
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


def changed(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return change


def of_schema(number: str) -> Callable[[Path], None]:
    return changed(f"UPDATE alembic_version SET version_num = '{number}'")  # noqa: S608  (ours)


def of_something_else(path: Path) -> None:
    path.unlink()
    changed("CREATE TABLE shopping (item)")(path)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n"
A_VIEW = changed("DROP TABLE logged_models", f"CREATE VIEW logged_models AS {ENDLESS}")
A_TRIGGER = changed(
    f"CREATE TRIGGER t AFTER INSERT ON runs BEGIN SELECT count(*) FROM ({ENDLESS}); END"  # noqa: S608  (ours)
)

WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (cut_to(0), "is empty (0 bytes), not an MLflow database. Move it away, or"),
    "half of it": (cut_to(400_000), "cannot be read: database disk image is malformed. Move"),
    "one byte short": (lambda path: cut_to(path.stat().st_size - 1)(path), "is cut short: "),
    "text": (lambda path: path.write_text("name: tutorial\n" * 999), "file is not a database. M"),
    "of another program": (of_something_else, "is a database, but not one of MLflow. Move it"),
    "newer": (of_schema("ffffffffffff"), "by a newer MLflow (its schema is ffffffffffff)."),
    "of no schema": (of_schema(""), "must have one revision of MLflow's schema, got none: an upg"),
    "a view for a table": (A_VIEW, "view or trigger 'logged_models'"),
    "a trigger": (A_TRIGGER, "view or trigger 't', wh"),
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


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


NO_FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "pipe": ("mlflow.db", os.mkfifo),
    "socket": ("mlflow.db", a_socket),
    "folder": ("mlflow.db", Path.mkdir),
    "device": ("mlflow.db", lambda path: path.symlink_to("/dev/null")),
    "journal": ("mlflow.db-journal", os.mkfifo),
    "log": ("mlflow.db-wal", os.mkfifo),
    "lock": (".mlflow.db.lock", os.mkfifo),
}


@pytest.mark.parametrize(("name", "make"), NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_named_and_not_opened(
    name: str, make: Callable[[Path], object], database: Path
) -> None:
    if not name.startswith("mlflow.db-"):
        database.unlink()
    make(database.with_name(name))
    with pytest.raises(StoreError, match=rf"/{name}: must be a file, got a (device or pip|folder)"):
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
    assert sqlite.LOCKED_FOR_S > 19
    read_line(start(LOCK, database, 1))
    ensure(database, database.parent / "artifacts")


def test_a_long_lock_is_named(
    database: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCKED_FOR_S", 0.2)
    read_line(start(LOCK, database, 60))
    with pytest.raises(
        StoreError, match=r"mlflow\.db: stayed locked by another program for 0\.2 s"
    ):
        ensure(database, database.parent / "artifacts")


AS_NOBODY = """
import os
import runner.tracking.backend.sqlite
if os.geteuid() == 0:  # who may write anywhere
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""


@pytest.mark.parametrize("there", [True, False], ids=["a database in it", "nothing in it"])
def test_a_read_only_folder_is_named(migrated_database: Path, start: Start, there: bool) -> None:
    # Not in tmp_path, which is for its owner's eyes alone.
    with TemporaryDirectory() as name:
        database = Path(name, "mlflow.db")
        if there:
            shutil.copy(migrated_database, database)
        Path(name).chmod(0o555)
        process = start(AS_NOBODY + MAKE, database)
        _, said = process.communicate()
        assert f"StoreError: {database}: cannot be written" in said.splitlines()[-1]
        assert [path.name for path in Path(name).iterdir()] == ["mlflow.db"] * there


# Each process is a fork of one that has loaded MLflow, which takes seconds.
DIE_MEANWHILE = """
import os, signal, sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from sqlalchemy import Engine, event
from runner.tracking.backend.sqlite import ensure
sys.dont_write_bytecode = True  # which renames files too
database, *sizes = Path(sys.argv[1]), *map(int, sys.argv[2:])
unfinished = database.with_name(".mlflow.db.part")

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def make_and_die(size):
    @event.listens_for(Engine, "after_cursor_execute")
    def die_at_size(*_):
        if size and unfinished.stat().st_size > size:
            die()

    if not size:
        sys.addaudithook(lambda event, _: event == "os.rename" and die())
    ensure(database, database.parent / "artifacts")

for size in sizes:
    child = os.fork()
    if child == 0:
        try:
            make_and_die(size)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status), unfinished.exists(), database.exists())
"""


def test_a_kill_while_it_is_made_leaves_nothing_or_all(tmp_path: Path, start: Start) -> None:
    database = tmp_path / "mlflow.db"
    # Early and late in the migrations, and just before it gets its name; each process finds what
    # the one before has left.
    said, failed = start(DIE_MEANWHILE, database, 100_000, 600_000, 0).communicate()
    assert said.splitlines() == [f"{signal.SIGKILL.value} True False"] * 3, failed
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


def test_a_read_only_database_with_changes_in_a_log_is_refused(database: Path) -> None:
    Path(f"{database}-wal").write_bytes(b"changes")
    with pytest.raises(StoreError, match=r"its latest changes are in mlflow\.db-wal"):
        sqlite.check_readable(database)


def journal_mode(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize(("kind", "mode"), [("ext2/ext3", "wal"), ("nfs", "delete")])
def test_a_log_is_kept_on_a_local_disk_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    monkeypatch.setattr(sqlite, "file_system_of", lambda _: kind)
    ensure(tmp_path / "new.db", tmp_path / "artifacts")
    assert journal_mode(tmp_path / "new.db") == mode


FORK = """
import os, sys
from pathlib import Path
from runner.tracking import open_store

def count():
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return sum(link.startswith(sys.argv[1]) for link in links)

store = open_store(f"sqlite:///{sys.argv[1]}", None, "test")
print(count() > 0, flush=True)
if os.fork() == 0:
    print(count(), flush=True)
    os._exit(0)
os.wait()
print(len(store.client.search_experiments()))
"""


def test_no_connection_crosses_a_fork(database: Path, start: Start) -> None:
    said, _ = start(FORK, database).communicate()
    assert said.split() == ["True", "0", "2"]


RECORD = """
import sys
from runner.tracking import open_store
store = open_store(sys.argv[1], None, "test")
run = store.start_run("one", {"seed": 0}, {})
run.log_metrics(1, {"val/loss": 0.5})
run.finish()
print("FINISHED", flush=True)
sys.stdin.readline()
"""


def test_at_the_exit_the_database_is_a_single_file(database: Path, start: Start) -> None:
    process = start(RECORD, f"sqlite:///{database}")
    read_line(process)
    assert process.communicate() == ("", "")
    assert [path.name for path in database.parent.glob("mlflow.db*")] == ["mlflow.db"]


def test_what_is_finished_outlives_a_kill_in_the_very_next_moment(
    database: Path, start: Start
) -> None:
    process = start(RECORD, f"sqlite:///{database}")
    assert read_line(process) == "FINISHED"
    process.kill()
    process.wait()
    store = open_store(f"sqlite:///{database}", None, "test")
    (run,) = store.client.search_runs([store.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"val/loss": 0.5}
