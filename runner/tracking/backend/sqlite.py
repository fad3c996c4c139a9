"""The SQLite database of a store: made once and whole; a wrong one is refused, never overwritten.

A database made here keeps a write-ahead log where its disk allows it: a change then costs one write
instead of three flushes, and readers do not wait for a writer.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runner.system.errors import StoreError
from runner.system.files import disk_error, room_left, sync_folder
from runner.system.paths import other_than_file
from runner.system.text import elide, on_one_line
from runner.tracking.backend.address import sqlite_uri
from runner.tracking.backend.client import NO_SPACE, prepare, store_errors

# As long as MLflow itself waits for another writer.
LOCKED_FOR_S = 20
# Processes share the log through memory, so SQLite forbids it on a disk that several machines write
# to. A file system that is not listed is taken for such a disk.
_LOCAL_FILE_SYSTEMS = {"btrfs", "ext2/ext3", "f2fs", "overlayfs", "tmpfs", "xfs", "zfs"}
# How SQLite opens a file that cannot be written.
READ_ONLY = "mode=ro&immutable=1"
# Of a database, and the files that SQLite keeps beside it.
_SUFFIXES = ("", "-journal", "-wal", "-shm")
# What is asked of any database of MLflow's.
_TABLES = {"alembic_version", "experiments", "runs", "tags", "params", "metrics", "latest_metrics"}
_ADVICE = " Move it away, or set tracking.uri to another file."


def ensure(database: Path, artifacts: Path) -> str:
    """Make the database if there is none, else check that MLflow can use it; return its revision.

    Many processes may do it at once, and a kill at any instant leaves nothing or a whole database.
    One that exists keeps its journal mode: its owner may share it with other machines, or copy it
    as a single file while it is in use. `artifacts` is for experiments that name no location.
    """
    if not database.exists():
        try:
            database.parent.mkdir(parents=True, exist_ok=True)
            place = database.with_name(f".{database.name}.lock")
            _require_files(place)
            with place.open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, or the process ends
                if not database.exists():
                    _make(database, artifacts)
        except OSError as error:
            raise disk_error(database, error) from error
    require_writable(database)
    return _check(database, "mode=rw")


def is_read_only(database: Path) -> bool:
    """Tell whether an existing database cannot be written; SQLite needs its folder too."""
    can_write = os.access(database, os.R_OK | os.W_OK) and os.access(database.parent, os.W_OK)
    return not can_write and database.exists()


def require_writable(database: Path) -> None:
    """Raise `StoreError` where a database is read-only."""
    if is_read_only(database):
        raise StoreError(f"{database}: cannot be written: it, or its folder, is read-only")


def check_readable(database: Path) -> str:
    """Check a read-only database, which can have no log, and return its revision."""
    log = Path(f"{database}-wal")
    if log.exists() and log.stat().st_size > 0:
        raise StoreError(
            f"{database}: is read-only, and its latest changes are in {log.name}, which SQLite "
            "reads only where it can write. Copy both to another folder."
        )
    return _check(database, READ_ONLY)


def _require_files(*paths: Path) -> None:
    """Raise `StoreError` where a path is no file: a pipe would be waited for."""
    for path in paths:
        if got := other_than_file(path):
            raise StoreError(f"{path}: must be a file, got {got}.{_ADVICE}")


def _make(database: Path, artifacts: Path) -> None:
    prepare()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    unfinished = database.with_name(f".{database.name}.part")
    _remove(unfinished)
    try:
        with store_errors(database), _without_flushes():
            new: Any = SqlAlchemyStore
            new(sqlite_uri(unfinished), artifacts.as_uri()).engine.dispose()
            if file_system_of(database.parent) in _LOCAL_FILE_SYSTEMS:
                with closing(sqlite3.connect(unfinished)) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        # Another program, which does not take our lock, may have made one meanwhile.
        if not database.exists():
            unfinished.rename(database)
            sync_folder(database.parent)
    finally:
        _remove(unfinished)


@contextmanager
def _without_flushes() -> Iterator[None]:
    """Flush nothing to the disk: a file that has no name yet needs that once, at the end."""
    from sqlalchemy import Engine, event

    def relax(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)


def _remove(unfinished: Path) -> None:
    for suffix in _SUFFIXES:
        Path(f"{unfinished}{suffix}").unlink(missing_ok=True)


def file_system_of(folder: Path) -> str:
    """Return the kind of file system of a folder, in the words of `stat`; empty if unknown."""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def _check(database: Path, query: str) -> str:
    """Return the schema's revision; SQLite itself notices text, truncation and damage."""
    try:
        _require_files(*(Path(f"{database}{suffix}") for suffix in _SUFFIXES))
        # To SQLite a file of zero bytes is a fine database; to us it is what a full disk left.
        size = database.stat().st_size
        if size == 0:
            raise StoreError(f"{database}: is empty (0 bytes), not an MLflow database.{_ADVICE}")
        uri = f"{database.as_uri()}?{query}"
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCKED_FOR_S)) as connection:
            query = "SELECT type, name, tbl_name FROM sqlite_master WHERE type != 'index'"
            objects = connection.execute(query).fetchall()
            # SQLite takes the missing end of a last page for zeros.
            if size % connection.execute("PRAGMA page_size").fetchone()[0]:
                raise StoreError(f"{database}: is cut short: {size:,} bytes.{_ADVICE}")
            if not {name for kind, name, _ in objects if kind == "table"} >= _TABLES:
                raise StoreError(f"{database}: is a database, but not one of MLflow.{_ADVICE}")
            _refuse_queries(database, objects)
            versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except OSError as error:
        raise disk_error(database, error) from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreError(
                f"{database}: stayed locked by another program for {LOCKED_FOR_S} s"
            ) from error
        room = room_left(database)
        if "unable to open" in str(error) and "inodes" in room:
            raise StoreError(f"{database}: {NO_SPACE}{room}") from error
        reason = elide(on_one_line(str(error)), 120)
        raise StoreError(f"{database}: cannot be read: {reason}.{_ADVICE}") from error
    if len(versions) != 1 or not re.fullmatch("[0-9a-f]{8,40}", str(versions[0][0])):
        shown = ", ".join(elide(version, 20) for (version,) in versions[:3]) or "none"
        raise StoreError(
            f"{database}: must have one revision of MLflow's schema, got {shown}: an upgrade"
            f" was cut off, or it is not MLflow's. Go back to a copy.{_ADVICE}"
        )
    version = str(versions[0][0])
    _check_version(database, version)
    return version


def _refuse_queries(database: Path, objects: Iterable[tuple[str, str, str]]) -> None:
    """Refuse a view in place of a table, or a trigger: either may be a query without end.

    MLflow's own trigger is on a table that nothing here touches; a person's own views are read by
    nobody here.
    """
    views = {name for kind, name, _ in objects if kind == "view"}
    if views:
        models = _of_mlflow("store/**/models.py")
        tables = {t for m in models for t in re.findall(r'__tablename__ = "(\w+)"', m.read_text())}
        views &= tables
    triggers = {name for kind, name, on in objects if kind == "trigger" and on != "secrets"}
    for name in sorted(views | triggers):
        raise StoreError(
            f"{database}: must be as MLflow makes it, got a view or trigger {elide(name, 40)!r}, "
            f"which may be a query without end.{_ADVICE}"
        )


def _of_mlflow(pattern: str) -> list[Path]:
    """List files of the installed MLflow, without importing it."""
    package = find_spec("mlflow")
    folders = (package.submodule_search_locations if package else None) or []
    return [file for folder in folders for file in Path(folder).glob(pattern)]


def _check_version(database: Path, version: str) -> None:
    """Compare the schema's number with the migrations that MLflow ships."""
    migrations = _of_mlflow("store/db_migrations/versions/*_*.py")
    if not any(file.name.startswith(f"{version}_") for file in migrations):
        raise StoreError(
            f"{database}: was made by a newer MLflow (its schema is {version}). Install that"
            " version, or set tracking.uri to another file."
        )
    # MLflow upgrades some old schemas by itself, without a backup and without a lock.
    if any(f'\ndown_revision = "{version}"' in file.read_text("utf-8") for file in migrations):
        raise StoreError(
            f"{database}: was made by an older MLflow (its schema is {version}). Keep a copy, then"
            f" bring it up to date:\n  mlflow db upgrade '{sqlite_uri(database)}'"
        )
