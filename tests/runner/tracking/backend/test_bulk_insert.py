"""A first batch leaves the very rows that MLflow's own client leaves."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from runner.tracking import Store
from runner.tracking.backend import bulk_insert
from runner.tracking.backend.bulk_insert import LoggedMetric, write_batch

TABLES = ("params", "metrics", "latest_metrics", "tags")
TAGS = {"runner.files_sha256": "{}", "empty": ""}
PARAMS = {"seed": "0", "optimizer.learning_rate": "0.1", "empty": ""}
CASES: dict[str, list[LoggedMetric]] = {
    "a usual run": [
        (name, 1 / (step + 1), 1000 + step, step)
        for step in range(0, 400, 100)
        for name in ("train/loss", "val/loss")
    ],
    "nothing": [],
    "NaN and infinities": [
        ("train/loss", number, 1000, step)
        for step, number in enumerate([math.inf, -math.inf, math.nan])
    ],
    "the last one is NaN": [("a", 2.0, 1000, 0), ("a", math.nan, 1000, 0)],
    "said twice": [("a", 0.5, 1000, 3), ("a", 0.5, 1000, 3), ("a", -0.0, 1, 1), ("a", 0.0, 1, 1)],
    "steps that go back": [("a", 1.0, 1000, 9), ("a", 2.0, 2000, 3), ("b", 1.0, 5, 0)],
    "one step, two times": [("a", 1.0, 2000, 3), ("a", 9.0, 1000, 3)],
    "one step and time, two values": [("a", 1.0, 1000, 3), ("a", 9.0, 1000, 3)],
    "more than MLflow takes at once": [("a", float(step), 1000, step) for step in range(1500)],
}


def rows_of(database: Path, run_id: str) -> dict[str, list[tuple[object, ...]]]:
    found = {}
    with closing(sqlite3.connect(database)) as connection:
        for table in TABLES:
            question = f"SELECT * FROM {table} WHERE run_uuid = ?"  # noqa: S608  (names of ours)
            cursor = connection.execute(question, (run_id,))
            names = [column[0] for column in cursor.description]
            where = names.index("run_uuid")
            found[table] = sorted(row[:where] + row[where + 1 :] for row in cursor)
    return found


def new_run(store: Store) -> str:
    return str(store.client.create_run(store.experiment_id, run_name="one").info.run_id)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that MLflow's client was asked to log a batch of."""
    runs: list[str] = []
    log_batch = MlflowClient.log_batch

    def noting(self: MlflowClient, run_id: str, **what: object) -> object:
        runs.append(run_id)
        return log_batch(self, run_id, **what)

    monkeypatch.setattr(MlflowClient, "log_batch", noting)
    return runs


@pytest.mark.parametrize("metrics", CASES.values(), ids=CASES)
def test_a_first_batch_leaves_the_rows_of_log_batch(
    embedded: Store, database: Path, asked: list[str], metrics: list[LoggedMetric]
) -> None:
    ours, theirs = new_run(embedded), new_run(embedded)
    write_batch(embedded.client, ours, metrics, PARAMS, TAGS, is_first=True)
    write_batch(embedded.client, theirs, metrics, PARAMS, TAGS, is_first=False)
    assert asked == [theirs]
    assert rows_of(database, ours) == rows_of(database, theirs)


def test_an_untested_mlflow_writes_for_itself(
    embedded: Store, database: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "__version__", "3.99.0")
    run_id = new_run(embedded)
    write_batch(embedded.client, run_id, CASES["a usual run"], PARAMS, {}, is_first=True)
    assert asked == [run_id]
    assert [len(rows) for rows in rows_of(database, run_id).values()][:3] == [3, 8, 2]


def test_the_installed_mlflow_is_the_one_that_is_tested(embedded: Store) -> None:
    # When this fails, see whether its log_batch leaves the same rows, and set _TESTED_MLFLOW.
    assert bulk_insert._is_tested(embedded.client)


def test_a_batch_that_failed_is_written_once_when_it_is_tried_again(
    embedded: Store, database: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = embedded.start_run("one", {"seed": 0}, {})
    run.log_metrics(1, {"train/loss": 0.5})
    write_rows = bulk_insert._write_rows

    def write_and_fail(*what: object) -> None:
        write_rows(*what)  # type: ignore[arg-type]  # what it is given
        raise KeyboardInterrupt

    monkeypatch.setattr(bulk_insert, "_write_rows", write_and_fail)
    with pytest.raises(KeyboardInterrupt):
        run.flush()
    run.finish()
    assert asked == [run.run_id]
    assert [len(rows) for rows in rows_of(database, run.run_id).values()][:3] == [1, 1, 1]
