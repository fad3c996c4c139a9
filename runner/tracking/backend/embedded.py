"""Reads and writes MLflow's own tables in a SQLite database, without MLflow.

Importing MLflow takes two seconds, and recording a run by its client 25 ms of CPU; the same rows
for many runs in one transaction take 4. A schema is known by its revision; MLflow's client serves
any other. The rows are those that the client would leave: a test compares them.
"""

from __future__ import annotations

import math
import posixpath
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.system.errors import RecordError, StoreError
from runner.system.text import elide
from runner.tracking.backend.artifacts import local_folder, remove_files, sync_files, write_files
from runner.tracking.backend.client import client_of, disconnect, store_errors
from runner.tracking.backend.rows import (
    RUN_NAME,
    DatasetPart,
    Experiment,
    Run,
    RunChange,
    RunQuery,
    close_before_forks,
    sound_runs,
)
from runner.tracking.backend.sqlite import LOCKED_FOR_S, READ_ONLY
from runner.training.outcome import stored

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Revisions of MLflow's schema whose tables are those that are read and written here.
KNOWN_REVISIONS = {"dc11669786a5"}
# Of a million runs those of a page are in memory.
_RUNS_PER_PAGE = 1000
# What MLflow accepts.
_EXPERIMENT_NAME_CHARACTERS = 500

_RUN_COLUMNS = (
    "run_uuid, experiment_id, name, user_id, status, start_time, end_time, artifact_uri,"
    " lifecycle_stage"
)
_TABLES = ("tags", "params", "latest_metrics")
_NEW_RUN = (
    "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id,"
    " status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
    " VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', 'active', ?, ?)"
)
_PARAM = "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)"
_TAG = "INSERT OR REPLACE INTO tags (run_uuid, key, value) VALUES (?, ?, ?)"
# MLflow stores a value that is logged twice once.
_METRIC = (
    "INSERT OR IGNORE INTO metrics (run_uuid, key, value, timestamp, step, is_nan)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_LATEST = (
    "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value,"
    " timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan"
    " WHERE (excluded.step, excluded.timestamp, excluded.value) > (step, timestamp, value)"
)
_DATASET = (
    "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest,"
    " dataset_source_type, dataset_source, dataset_schema, dataset_profile)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class EmbeddedStore:
    """The experiments and runs of a SQLite database of a known revision.

    It `is_read_only` where the file, or its folder, cannot be written. If it `is_durable`, files
    and rows of a run that ends are on the disk before it counts as recorded.
    """

    runs_at_once = 64
    remark: str | None = None
    keeps = False

    def __init__(
        self, database: Path, uri: str, *, is_read_only: bool = False, is_durable: bool = True
    ) -> None:
        self.uri = uri
        self._database, self._is_read_only, self.is_durable = database, is_read_only, is_durable
        self.unfit: dict[str, str] = {}
        self.left: dict[Path, str] = {}
        self._open: sqlite3.Connection | None = None
        close_before_forks(self)

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client, for models alone."""
        return client_of(self.uri)

    @property
    def default_artifacts(self) -> str:
        """The folder that MLflow takes, in the working folder."""
        return str(Path("mlruns").absolute())

    def close(self) -> None:
        """Close the connections: the last one puts the log back into the database."""
        if self._open is not None:
            self._open.close()
            self._open = None
        if "client" in self.__dict__:
            disconnect(self.client)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            query = READ_ONLY if self._is_read_only else "mode=rw"
            self._open = sqlite3.connect(
                f"{self._database.as_uri()}?{query}",
                uri=True,
                timeout=LOCKED_FOR_S,
                isolation_level=None,
                # Whoever forks or exits closes it, in whatever thread; one at a time uses it.
                check_same_thread=False,
            )
            # Anybody may have made the file: what its schema calls can do nothing.
            self._open.execute("PRAGMA trusted_schema = OFF")
            (journal,) = self._open.execute("PRAGMA journal_mode").fetchone()
            # With a log, a power cut takes the latest commits at most, all from some moment on.
            is_lax = journal == "wal" and not self.is_durable
            self._open.execute(f"PRAGMA synchronous = {'NORMAL' if is_lax else 'FULL'}")
            self._open.execute("PRAGMA fullfsync = ON")  # macOS flushes the disk's own cache too
        return self._open

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute(f"BEGIN {kind}")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite has rolled some back by itself
                connection.execute("ROLLBACK")
            raise

    def asking(self, call: Callable[[], None]) -> None:
        call()

    def record_kept(self) -> int:
        return 0  # nothing is kept of a database

    # Reading.

    @contextmanager
    def _reading(self, label: str) -> Iterator[sqlite3.Connection]:
        """Read one state of the database; a value that is no text is that of a bad record."""
        with store_errors(self.uri):
            try:
                with self._transaction("DEFERRED") as connection:
                    yield connection
            except sqlite3.OperationalError as error:
                if "Could not decode to UTF-8" not in str(error):
                    raise
                reason = elide(str(error).partition("\n")[0], 100)
                raise RecordError(f"{label}: is no sound record: {reason}.") from None

    def experiments(self) -> list[Experiment]:
        return self._experiments("lifecycle_stage = 'active'")

    def experiment(self, experiment_id: str) -> Experiment | None:
        return next(iter(self._experiments("experiment_id = ?", experiment_id)), None)

    def experiment_named(self, name: str) -> Experiment | None:
        return next(iter(self._experiments("name = ?", name)), None)

    def _experiments(self, where: str, *values: str) -> list[Experiment]:
        columns = "experiment_id, name, artifact_location, lifecycle_stage"
        query = (
            f"SELECT {columns} FROM experiments WHERE {where}"  # noqa: S608  (words of ours)
            " ORDER BY last_update_time DESC, experiment_id"
        )
        with self._reading("an experiment of the store") as connection:
            return [
                Experiment(str(number), str(name), str(location or ""), stage == "deleted")
                for number, name, location, stage in connection.execute(query, values)
            ]

    def run(self, run_id: str) -> Run | None:
        return next(iter(self._runs("run_uuid = ?", [run_id], f"run {run_id}")), None)

    def runs(self, query: RunQuery) -> Iterator[Run]:
        where = f"experiment_id IN ({', '.join('?' * len(query.experiment_ids))})"
        where += " AND lifecycle_stage = 'active'"
        values = [*query.experiment_ids]
        if query.status is not None:
            where += " AND status = ?"
            values.append(query.status)
        if query.id_begins:
            where += " AND run_uuid LIKE ?"
            values.append(f"{query.id_begins}%")
        if query.without is not None:
            where += " AND run_uuid NOT IN (SELECT run_uuid FROM tags WHERE key = ?)"
            values.append(query.without)
        for key, value in query.tags.items():
            where += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
            values += [key, value]
        order = "DESC" if query.newest_first else "ASC"
        tables = _TABLES if query.has_settings else _TABLES[:1]
        return sound_runs(self._pages(where, values, query.label, order, tables), self.unfit)

    def _pages(
        self, where: str, values: Sequence[str], label: str, order: str, tables: Sequence[str]
    ) -> Iterator[Run]:
        """Read the keys of runs, and then the runs by their keys, page by page."""
        query = f"SELECT run_uuid FROM runs WHERE {where} ORDER BY start_time {order}, run_uuid"  # noqa: S608  (words of ours)
        with self._reading(label) as connection:
            keys = [key for (key,) in connection.execute(query, values)]
        for start in range(0, len(keys), _RUNS_PER_PAGE):
            page = keys[start : start + _RUNS_PER_PAGE]
            of_page = f"run_uuid IN ({', '.join('?' * len(page))}) AND lifecycle_stage = 'active'"
            yield from self._runs(of_page, page, label, order, self.unfit, tables)

    def _runs(
        self,
        where: str,
        values: Sequence[str],
        label: str,
        order: str = "ASC",
        unfit: dict[str, str] | None = None,
        tables: Sequence[str] = _TABLES,
    ) -> list[Run]:
        """Read runs; one that lacks what every run has is noted as `unfit`, or else raised."""
        chosen = f"FROM runs WHERE {where}"
        texts: dict[Any, Any] = {}  # runs of a sweep share most of theirs
        with self._reading(label) as connection:
            runs = connection.execute(
                f"SELECT {_RUN_COLUMNS} {chosen} ORDER BY start_time {order}, run_uuid", values
            ).fetchall()
            entries: dict[str, dict[str, dict[Any, Any]]] = {}
            for table in _TABLES:
                by_run = entries[table] = {row[0]: {} for row in runs}
                if table not in tables:
                    continue
                columns = "key, value, is_nan" if table == "latest_metrics" else "key, value"
                query = (
                    f"SELECT run_uuid, {columns} FROM {table}"  # noqa: S608  (words of ours)
                    f" WHERE run_uuid IN (SELECT run_uuid {chosen})"
                )
                for run_id, key, value, *is_nan in connection.execute(query, values):
                    if is_nan:
                        value = math.nan if is_nan == [1] else value  # noqa: PLW2901  (as MLflow)
                    else:
                        value = texts.setdefault(value, value)  # noqa: PLW2901  (the same text)
                    by_run[run_id][texts.setdefault(key, key)] = value
        for row in list(runs):
            try:
                _check_row(row, label)
            except RecordError as error:
                if unfit is None:
                    raise
                unfit[str(row[0])] = f"run {elide(str(row[0]), 40)}: is left out. {error}"
                runs.remove(row)
        return [
            Run(
                run_id=str(run_id),
                experiment_id=str(experiment_id),
                name=str(name or ""),
                status=str(status),
                started_ms=start,
                ended_ms=end,
                artifact_uri=str(uri),
                is_deleted=stage == "deleted",
                tags=entries["tags"][run_id],
                params=entries["params"][run_id],
                metrics=entries["latest_metrics"][run_id],
            )
            for run_id, experiment_id, name, _, status, start, end, uri, stage in runs
        ]

    def metric_values(
        self, run_id: str, metric: str | None = None
    ) -> Iterator[tuple[object, object, object]]:
        query, values = "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ?", [run_id]
        if metric is not None:
            # With the plus the index of runs is searched, and not that of all values of a metric.
            query, values = f"{query} AND +key = ?", [run_id, metric]
        with self._reading(f"run {run_id}") as connection:
            rows = connection.execute(f"{query} ORDER BY timestamp, step, value", values).fetchall()
        return ((key, step, math.nan if nan == 1 else value) for key, step, value, nan in rows)

    # Writing.

    def create_experiment(self, name: str, location: str | None) -> Experiment:
        if not 0 < len(name) <= _EXPERIMENT_NAME_CHARACTERS:
            raise StoreError(
                f"{self.uri}: the name of an experiment must have at most "
                f"{_EXPERIMENT_NAME_CHARACTERS} characters, got {len(name):,}."
            )
        now_ms = _now_ms()
        with store_errors(self.uri), self._transaction("IMMEDIATE") as connection:
            connection.execute(
                "INSERT OR IGNORE INTO experiments"
                " (name, artifact_location, lifecycle_stage, creation_time, last_update_time)"
                " VALUES (?, ?, 'active', ?, ?)",
                (name, location, now_ms, now_ms),
            )
        experiment = self.experiment_named(name)
        assert experiment is not None  # noqa: S101  (for mypy: it was made)
        return experiment

    def begin(
        self,
        experiment_id: str,
        name: str,
        tags: Mapping[str, str],
        started_ms: int,
        *,
        may_wait: bool = False,  # noqa: ARG002  (of the protocol)
    ) -> RunChange:
        experiment = self._experiment_of_runs(experiment_id)
        run_id = uuid.uuid4().hex
        uri = _below(experiment.artifact_location, f"{run_id}/artifacts")
        new = Run(run_id, experiment_id, name, "RUNNING", started_ms, None, uri)
        return RunChange(run_id, uri, new, {**tags, RUN_NAME: name})

    def _experiment_of_runs(self, experiment_id: str) -> Experiment:
        if self._last_experiment is None or self._last_experiment.experiment_id != experiment_id:
            self._last_experiment = self.experiment(experiment_id)
        if self._last_experiment is None:
            raise StoreError(f"{self.uri}: has no experiment {experiment_id} any more")
        return self._last_experiment

    _last_experiment: Experiment | None = None

    def write(self, changes: Sequence[RunChange]) -> None:
        """Write files and rows of some runs, the rows in one transaction.

        Files come first, so that a run which has ended has them all; those of a run that the
        database would not take are removed.
        """
        new = [change for change in changes if change.new is not None]
        with store_errors(self.uri):
            try:
                for change in changes:
                    write_files(self, change.artifact_uri, change.files)
                if self.is_durable:
                    sync_files([c.artifact_uri for c in changes if c.files])
                with self._transaction("IMMEDIATE") as connection:
                    self._write_rows(connection, changes)
            except BaseException:
                for change in new:
                    remove_files(change.artifact_uri, change.files)
                raise

    def remove_unrecorded(self, experiment_id: str, run_id: str) -> None:
        """Remove the files of a run that the database does not have."""
        experiment = self.experiment(experiment_id)
        if experiment is not None and self.run(run_id) is None:
            uri = _below(experiment.artifact_location, f"{run_id}/artifacts")
            if (folder := local_folder(uri)) is not None and folder.is_dir():
                remove_files(uri, [path.name for path in folder.iterdir()])

    def _write_rows(self, connection: sqlite3.Connection, changes: Sequence[RunChange]) -> None:
        for experiment_id in {c.new.experiment_id for c in changes if c.new is not None}:
            query = "SELECT lifecycle_stage FROM experiments WHERE experiment_id = ?"
            if connection.execute(query, (experiment_id,)).fetchone() != ("active",):
                raise StoreError(
                    f"{self.uri}: the experiment {experiment_id} was deleted meanwhile"
                )
        for change in changes:
            self._write_run(connection, change)
        rows = [(c, c.run_id) for c in changes]
        connection.executemany(_PARAM, [(i, *item) for c, i in rows for item in c.params.items()])
        connection.executemany(_TAG, [(i, *item) for c, i in rows for item in c.tags.items()])
        removed = [(i, c.removed_tag) for c, i in rows if c.removed_tag is not None]
        connection.executemany("DELETE FROM tags WHERE run_uuid = ? AND key = ?", removed)
        metrics, latest = _metric_rows(changes)
        connection.executemany(_METRIC, metrics)
        connection.executemany(_LATEST, latest)
        _write_inputs(connection, changes)

    def _write_run(self, connection: sqlite3.Connection, change: RunChange) -> None:
        """Insert the row of a new run, or update that of another, which must not be deleted."""
        new, end = change.new, change.ended_ms
        if new is not None:
            user = change.tags.get("mlflow.user", "unknown")
            status = change.status or new.status
            row = (new.run_id, new.name, user, status, new.started_ms, end, new.artifact_uri)
            connection.execute(_NEW_RUN, (*row, int(new.experiment_id)))
            return
        query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
        (stage,) = connection.execute(query, (change.run_id,)).fetchone() or ("missing",)
        if stage != "active":
            raise StoreError(
                f"{self.uri}: the run {change.run_id} must be in the 'active' state, it is {stage}"
            )
        if change.status is not None:
            connection.execute(
                "UPDATE runs SET status = ?, end_time = coalesce(?, end_time) WHERE run_uuid = ?",
                (change.status, end, change.run_id),
            )


def _check_row(row: Sequence[object], label: str) -> None:
    """Raise `RecordError` if a run lacks what every run has."""
    columns = _RUN_COLUMNS.split(", ")
    for name in ("user_id", "status", "start_time", "experiment_id"):
        if row[columns.index(name)] is None:
            raise RecordError(f"{label}: is no sound record: {name} cannot be None.")


def _below(location: str, path: str) -> str:
    """Return the URI of what is below a location, as MLflow writes it."""
    parts = urlsplit(location)
    if not parts.scheme:
        return posixpath.join(location, path)
    joined = posixpath.join(parts.path, path)
    return parts._replace(path=joined).geturl()


def _metric_rows(changes: Sequence[RunChange]) -> tuple[list[tuple[Any, ...]], list[Any]]:
    """Return the rows of all values, and of those that tables show: the last ones by their step."""
    rows: list[tuple[Any, ...]] = []
    latest: dict[tuple[str, str], tuple[Any, ...]] = {}
    for change in changes:
        run_id = change.run_id
        for name, number, at_ms, step in change.metrics:
            is_nan = number != number  # noqa: PLR0124  (NaN alone differs from itself)
            value = 0.0 if is_nan else stored(number)
            row = (run_id, name, value, at_ms, step, is_nan)
            rows.append(row)
            before = latest.get((run_id, name))
            if before is None or (step, at_ms, value) > (before[4], before[3], before[2]):
                latest[run_id, name] = row
    return rows, list(latest.values())


def _write_inputs(connection: sqlite3.Connection, changes: Sequence[RunChange]) -> None:
    """Write the data sets that are new to the experiment, and which run was given which."""
    ids: dict[tuple[int, DatasetPart], str] = {}
    inputs, contexts = [], []
    for change in changes:
        if not change.datasets:
            continue
        experiment_id = _experiment_number(connection, change)
        for part in change.datasets:
            dataset_id = ids.get((experiment_id, part))
            if dataset_id is None:
                dataset_id = _dataset_id(connection, experiment_id, part)
                ids[experiment_id, part] = dataset_id
            input_id = uuid.uuid4().hex
            inputs.append((input_id, dataset_id, change.run_id))
            contexts.append((input_id, part.context))
    connection.executemany(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)"
        " VALUES (?, 'DATASET', ?, 'RUN', ?)",
        inputs,
    )
    connection.executemany(
        "INSERT INTO input_tags (input_uuid, name, value) VALUES (?, 'mlflow.data.context', ?)",
        contexts,
    )


def _experiment_number(connection: sqlite3.Connection, change: RunChange) -> int:
    if change.new is not None:
        return int(change.new.experiment_id)
    query = "SELECT experiment_id FROM runs WHERE run_uuid = ?"
    return int(connection.execute(query, (change.run_id,)).fetchone()[0])


def _dataset_id(connection: sqlite3.Connection, experiment_id: int, part: DatasetPart) -> str:
    where = (experiment_id, part.name, part.digest)
    more = (part.source_type, part.source, part.schema, part.profile)
    connection.execute(_DATASET, (uuid.uuid4().hex, *where, *more))
    query = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?"
    return str(connection.execute(query, where).fetchone()[0])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
