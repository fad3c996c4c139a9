"""Connections flush as often as they must, do not cross a fork, and leave a single file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runner.tracking import open_store
from runner.tracking.backend.connections import engine_of
from tests.runner.tracking.conftest import Start, read_line

FULL, NORMAL = 2, 1


@pytest.mark.parametrize(("mode", "expected"), [("wal", NORMAL), ("delete", FULL)])
def test_only_with_a_log_a_commit_is_not_flushed(database: Path, mode: str, expected: int) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    engine = engine_of(open_store(f"sqlite:///{database}", None, "test").client)
    assert engine is not None
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    assert found == expected


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
