"""Runs are started, reopened and closed, by one process or many, whatever kills them."""

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runner.system.errors import StoreError
from runner.tracking import Store, open_store
from runner.tracking.backend.address import sqlite_uri
from tests.runner.tracking.conftest import Start, left, read_line

RECORD = """
import sys
from runner.tracking import open_store
store = open_store(sys.argv[1], None, "shared")
run = store.start_run(sys.argv[2], {"seed": 0}, {})
run.log_metrics(1, {"train/loss": 1.0})
print(run.run_id, flush=True)
if sys.argv[2] == "waits":
    sys.stdin.read()
run.finish()
"""


def status(store: Store, run_id: str) -> str:
    return str(store.client.get_run(run_id).info.status)


def test_eight_processes_at_once_share_a_store_that_none_had(tmp_path: Path, start: Start) -> None:
    uri = f"sqlite:///{tmp_path}/outputs/mlflow.db"
    for process in [start(RECORD, uri, number) for number in range(8)]:
        _, said = process.communicate()
        assert (process.returncode, said) == (0, "")
    names = {path.name for path in (tmp_path / "outputs").iterdir()}
    assert names == {"mlflow.db", ".mlflow.db.lock"}
    store = open_store(uri, None, "shared")
    runs = store.client.search_runs([store.experiment_id])
    assert sorted(run.info.run_name for run in runs) == [str(number) for number in range(8)]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_killed_process_leaves_a_run_that_the_next_start_closes(
    database: Path, start: Start
) -> None:
    uri = f"sqlite:///{database}"
    killed, alive = start(RECORD, uri, "waits"), start(RECORD, uri, "waits")
    abandoned, living = read_line(killed), read_line(alive)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    store = open_store(uri, None, "another experiment")
    assert status(store, abandoned) == "KILLED"
    assert status(store, living) == "RUNNING"
    tags = store.client.get_run(abandoned).data.tags
    assert tags["runner.failure"] == "the process ended without closing the run"
    store.close_abandoned_runs()

    _, said = alive.communicate()
    assert (alive.returncode, said) == (0, "")
    assert status(store, living) == "FINISHED"


def test_runs_of_other_tools_are_left_alone(embedded: Store) -> None:
    foreign = embedded.client.create_run(embedded.experiment_id).info.run_id
    embedded.close_abandoned_runs()
    assert status(embedded, foreign) == "RUNNING"


@pytest.mark.parametrize("folder", ["a b", "50%25", "a#b", "a?b", "Größe"])
def test_folders_may_have_odd_names(tmp_path: Path, migrated_database: Path, folder: str) -> None:
    database = tmp_path / folder / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(migrated_database, database)
    store = open_store(sqlite_uri(database), None, "odd")
    run = store.start_run("x", {}, {})
    run.log_folder(left(tmp_path))
    run.finish()
    (found,) = tmp_path.rglob(f"{run.run_id}/artifacts/config.yaml")
    assert found.is_relative_to(database.parent)
    copied = store.client.download_artifacts(run.run_id, "config.yaml", str(tmp_path))
    assert Path(copied).read_text() == "seed: 0\n"


def test_a_run_says_who_made_it_when_and_under_which_parent(embedded: Store) -> None:
    parent = embedded.start_run("sweep", {}, {"runner.kind": "sweep"})
    child = embedded.start_run("seed=3", {}, {}, parent_run_id=parent.run_id, start_time_s=1e9)
    child.finish()
    parent.finish()
    run = embedded.client.get_run(child.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id
    assert run.data.tags["mlflow.user"]
    assert run.data.tags["mlflow.source.name"]
    assert f"-{os.getpid()}-" in run.data.tags["runner.process"]
    assert run.info.start_time == 10**12


def test_an_active_run_in_the_environment_does_not_disturb(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = embedded.client.create_run(embedded.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", foreign)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    store = open_store(embedded.address.uri, None, "test")
    run = store.start_run("ours", {"seed": 0}, {})
    run.log_metrics(1, {"train/loss": 1.0})
    run.finish()
    assert run.run_id != foreign
    assert status(store, foreign) == "RUNNING"
    assert store.client.get_run(foreign).data.params == {}


def test_a_locked_database_is_said_in_one_line(embedded: Store, database: Path) -> None:
    run = embedded.start_run("x", {}, {})
    # MLflow waits for 20 s; a trigger refuses at once, with the words of SQLite.
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER locked BEFORE UPDATE ON runs"
            " BEGIN SELECT RAISE(ABORT, 'database is locked'); END"
        )
    with pytest.raises(StoreError) as caught:
        run.finish()
    assert str(caught.value) == (f"{embedded.address.uri}: stayed locked by another program")
    assert status(embedded, run.run_id) == "RUNNING"


def test_a_server_needs_no_other_change(server: str, tmp_path: Path) -> None:
    store = open_store(server, None, "served")
    assert store.where == (
        f"{server}/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning"
    )
    run = store.start_run("over HTTP", {"seed": 0}, {"runner.kind": "run"})
    for step in range(3):
        run.log_metrics(step, {"train/loss": 1 / (step + 1)})
    run.log_folder(left(tmp_path))
    run.finish()

    found = store.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {"seed": "0"}
    assert found.data.metrics == {"train/loss": 1 / 3}
    copied = store.client.download_artifacts(run.run_id, "config.yaml", str(tmp_path))
    assert Path(copied).read_text() == "seed: 0\n"
    store.close_abandoned_runs()
    assert status(store, run.run_id) == "FINISHED"


def test_a_reopened_run_goes_on_in_this_process(embedded: Store) -> None:
    run = embedded.start_run("again", {}, {}, start_time_s=1e9)
    run.kill()
    again = embedded.reopen_run(run.run_id)
    embedded.close_abandoned_runs()
    info = embedded.client.get_run(run.run_id).info
    assert (again.run_id, info.status, info.start_time) == (run.run_id, "RUNNING", 10**12)
    again.kill()  # for the same reason once more
    assert embedded.client.get_run(run.run_id).data.tags["runner.failure"] == "interrupted"
    embedded.reopen_run(run.run_id).finish()
    assert "runner.failure" not in embedded.client.get_run(run.run_id).data.tags
