"""A SQLite database for MLflow: made once and whole, and a wrong one refused, never overwritten.

Knows SQLite files and how MLflow numbers its schemas; not experiments or runs.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

from runner.system.errors import StoreError
from runner.system.files import disk_error, sync_folder
from runner.tracking.backend import client as library
from runner.tracking.backend.address import sqlite_uri
from runner.tracking.backend.journal import keep_log

# As long as MLflow itself waits for another writer.
LOCKED_FOR_S = 20


def ensure(database: Path, artifacts: Path) -> None:
    """Make the database if there is none; else check that this MLflow can use it.

    Safe when many processes do it at once, and a kill at any instant leaves nothing or a whole
    database.

    Parameters
    ----------
    database : Path
        The SQLite file.
    artifacts : Path
        Where artifacts go of an experiment that names no place of its own.

    Raises
    ------
    StoreError
        If the file is damaged, not a database, of another MLflow version, locked, or cannot be
        written.
    """
    if not database.exists():
        try:
            database.parent.mkdir(parents=True, exist_ok=True)
            with _alone(database):
                if not database.exists():
                    _make(database, artifacts)
        except OSError as error:
            raise disk_error(database, error) from error
    _check(database, "mode=rw")


def is_read_only(database: Path) -> bool:
    """Tell whether a database that is there cannot be written: SQLite needs its folder too."""
    can_write = os.access(database, os.R_OK | os.W_OK) and os.access(database.parent, os.W_OK)
    return not can_write and database.exists()


def require_writable(database: Path) -> None:
    """Make sure that a database can be written.

    Raises
    ------
    StoreError
        If it cannot.
    """
    if is_read_only(database):
        raise StoreError(f"{database}: cannot be written: it, or its folder, is read-only")


def reading_uri(database: Path) -> str:
    """Return the URI for SQLAlchemy that reads a database which cannot be written.

    Raises
    ------
    StoreError
        If this MLflow cannot use it, or it is not whole without a log that cannot be read here.
    """
    # A log is shared through a file beside it, which cannot be made in a folder that is only read.
    # Without a log, nobody is at work: SQLite may take the file for one that never changes.
    log = Path(f"{database}-wal")
    try:
        has_log = log.exists() and log.stat().st_size > 0
        has_memory = Path(f"{database}-shm").exists() or os.access(database.parent, os.W_OK)
    except OSError as error:
        raise disk_error(log, error) from error
    if has_log and not has_memory:
        raise StoreError(
            f"{database}: is read-only, and its latest changes are in {log.name}, which SQLite "
            "reads only where it can write. Copy both to another folder."
        )
    query = "mode=ro" if has_memory else "mode=ro&immutable=1"
    _check(database, query)
    # Twice encoded: SQLAlchemy decodes what it takes for a path. With the driver's name, since
    # MLflow makes the folders of what begins with "sqlite:///".
    return f"sqlite+pysqlite:///{database.as_uri().replace('%', '%25')}?{query}&uri=true"


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Keep other processes out of the making; the lock goes with the process, however it ends."""
    with database.with_name(f".{database.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(database: Path, artifacts: Path) -> None:
    library.prepare()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    unfinished = database.with_name(f".{database.name}.part")
    _remove(unfinished)
    try:
        with library.in_words(database), _unsynced():
            store = SqlAlchemyStore(  # type: ignore[no-untyped-call]  # MLflow has no annotation
                sqlite_uri(unfinished), artifacts.as_uri()
            )
            store.engine.dispose()
            keep_log(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        # Another program, which does not know our lock, may have made one in these seconds.
        if not database.exists():
            unfinished.rename(database)
            sync_folder(database.parent)
    finally:
        _remove(unfinished)


@contextmanager
def _unsynced() -> Iterator[None]:
    """Let SQLite leave a thousand flushes to the disk out: a file without a name needs just one."""
    from sqlalchemy import Engine, event

    def relax(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)


def _remove(unfinished: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{unfinished}{suffix}").unlink(missing_ok=True)


def _check(database: Path, query: str) -> None:
    """Read the schema's number; SQLite itself notices text, truncation and damage."""
    try:
        # To SQLite a file of zero bytes is a fine database; to us it is what a full disk left.
        size = database.stat().st_size
        if size == 0:
            raise StoreError(f"{database}: is empty (0 bytes), not an MLflow database.{_ADVICE}")
        if query == "mode=rw":
            require_writable(database)
        uri = f"{database.as_uri()}?{query}"
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCKED_FOR_S)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            # SQLite takes the missing end of a last page for zeros.
            if size % connection.execute("PRAGMA page_size").fetchone()[0]:
                raise StoreError(f"{database}: is cut short: {size:,} bytes.{_ADVICE}")
            if "alembic_version" not in tables:
                raise StoreError(f"{database}: is a database, but not one of MLflow.{_ADVICE}")
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except OSError as error:
        raise disk_error(database, error) from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreError(
                f"{database}: stayed locked by another program for {LOCKED_FOR_S} s"
            ) from error
        raise StoreError(f"{database}: cannot be read: {error}.{_ADVICE}") from error
    _check_version(database, found[0][0] if len(found) == 1 else "unknown")


_ADVICE = " Move it away, or set tracking.uri to another file."


def _check_version(database: Path, found: str) -> None:
    """Compare the schema's number with the migrations that MLflow ships, without importing it."""
    package = find_spec("mlflow")
    places = package.submodule_search_locations if package else None
    migrations = [
        file
        for place in places or []
        for file in Path(place, "store", "db_migrations", "versions").glob("*_*.py")
    ]
    if not any(file.name.startswith(f"{found}_") for file in migrations):
        raise StoreError(
            f"{database}: was made by a newer MLflow (its schema is {found}). Install that"
            " version, or set tracking.uri to another file."
        )
    # MLflow upgrades some old schemas by itself, without a backup and without a lock.
    if any(f'\ndown_revision = "{found}"' in file.read_text("utf-8") for file in migrations):
        raise StoreError(
            f"{database}: was made by an older MLflow (its schema is {found}). Keep a copy, then"
            f" bring it up to date:\n  mlflow db upgrade '{sqlite_uri(database)}'"
        )
