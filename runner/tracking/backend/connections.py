"""The connections of this process to a SQLite store: what they may skip, and when they end.

Knows SQLite and the hooks of SQLAlchemy, through which MLflow talks to it; not what is written.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import event

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import Engine


def engine_of(client: MlflowClient) -> Engine | None:
    """Return what MLflow talks to a database through; None for a server, which has its own."""
    engine: Engine | None = getattr(client._tracking_client.store, "engine", None)  # noqa: SLF001  (MLflow has no public way to its SQLAlchemy engine)
    return engine


@cache
def tune(engine: Engine) -> None:
    """Have the connections of this process flush seldom and end in time; once for each store.

    Parameters
    ----------
    engine : Engine
        Of a SQLite store; MLflow makes one in a process.
    """
    event.listen(engine, "connect", _flush_seldom)
    engine.dispose()  # what MLflow has opened by now, it opens again
    # SQLite forbids to use a connection, or even to close it, in a process that inherited it.
    os.register_at_fork(before=engine.dispose)
    # The last one to close puts the log back into the database, which is then a single file again;
    # and what MLflow keeps in its modules, Python lets go at the exit without closing it.
    atexit.register(engine.dispose)


def _flush_seldom(connection: sqlite3.Connection, _record: object) -> None:
    """Have the disk confirm a log when it goes into the database, not at each commit.

    However a process ends, what it has committed stays. Only a power cut can tell the difference:
    it may take the latest commits, all from some moment on, never half of one or an earlier one
    alone. Whatever was FINISHED in them has to be done again, by the same command; what is still
    FINISHED was so with everything that was committed before. (The files of a run are not
    confirmed by the disk either, so the database runs ahead of them less than before.)

    Without a log each commit has to be confirmed, or the database itself could break.
    """
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        connection.execute("PRAGMA synchronous = NORMAL")
