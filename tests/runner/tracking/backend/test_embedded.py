"""The rows that are written without MLflow are those that its own client writes."""

import math
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest

from runner.jobs.events import Ended
from runner.jobs.executors.local import InProcess
from runner.jobs.plan import Plan
from runner.jobs.session import Request, run
from runner.system.errors import StoreError
from runner.tracking import RunQuery, Store, open_store, write_together
from runner.tracking.backend import embedded as writer
from runner.tracking.backend.client_store import ClientStore
from runner.tracking.backend.embedded import EmbeddedStore
from tests.runner.jobs.planned import plan
from tests.runner.tracking.conftest import Start
from tests.runner.tracking.test_run_writer import split, table

# What two recordings of the same never share.
_TIMES = {"start_time", "end_time", "timestamp", "creation_time", "last_update_time"}
_TIMES |= {"creation_timestamp_ms", "last_updated_timestamp_ms", "metric_timestamp_ms"}
_TAGS = ("runner.process", "runner.duration_s", "runner.attempt")


def rows(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a database, with times left out and each id replaced by what it stands for."""
    names: dict[object, object] = {}
    found = {}
    with closing(sqlite3.connect(database)) as connection:
        for run_id, name, kind in connection.execute(
            "SELECT run_uuid, name, (SELECT value FROM tags WHERE key = 'runner.key' AND"
            " tags.run_uuid = runs.run_uuid) || status FROM runs"
        ):
            names[run_id] = f"run {name} {kind}"
        query = "SELECT dataset_uuid, name || digest FROM datasets"
        names |= dict(connection.execute(query).fetchall())
        query = "SELECT input_uuid, source_id || destination_id FROM inputs"
        for input_id, ends in connection.execute(query):
            names[input_id] = f"input {names[ends[:32]]} {names.get(ends[32:], 'model')}"
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table_name,) in tables.fetchall():
            cursor = connection.execute(f"SELECT * FROM {table_name}")  # noqa: S608  (MLflow's own)
            columns = [column[0] for column in cursor.description]
            kept = [number for number, column in enumerate(columns) if column not in _TIMES]
            found[table_name] = sorted(
                (tuple(_named(row[number], names, database) for number in kept) for row in cursor),
                key=repr,
            )
    found["tags"] = [row for row in found["tags"] if not set(row) & set(_TAGS)]
    return found


def _named(value: object, names: dict[object, object], database: Path) -> object:
    if isinstance(value, str):
        for id_, name in names.items():
            value = value.replace(str(id_), str(name))
        value = re.sub(r"m-[0-9a-f]{32}", "model", value.replace(str(database.parent), "here"))
    return value


def one_of_everything(store: Store) -> None:
    """Record runs that end in each way, with each kind of value."""
    parent = store.start_run("a sweep", {}, {"runner.kind": "sweep"})
    shown = store.start_run("shown", {"seed": 0}, {"runner.key": "a"}, parent.run_id)
    shown.log_metrics(0, {"train/loss": 1.0, "val/loss": math.nan})
    shown.flush()
    shown.log_metrics(0, {"train/loss": 2.0}, 1e9)  # measured earlier, logged later
    shown.log_metrics(5, {"train/loss": 0.5, "val/loss": math.inf, "other": -math.inf})
    shown.log_datasets(table(), split())
    shown.log_files({"config.json": b"{}"})
    shown.finish()
    long = {"data": {"features": list(range(3000)), "text": "x" * 6000}, "empty": "", "none": None}
    whole = []
    for name, failure in (("whole", None), ("diverged", "loss is not finite " + "." * 9000)):
        one = store.start_run(
            name, long, {"runner.key": name, "empty": ""}, parent.run_id, 1e9, is_shown=False
        )
        for step in (9, 3, 3):
            one.log_metrics(step, {"f1[macro]": step / 7, "said twice": 1.0}, 1e9 + step)
        one.log_metrics(3, {"last is NaN": 2.0, "a" * 300: 0.0}, 1e9)
        one.log_metrics(3, {"last is NaN": math.nan}, 1e9)
        one.log_datasets(table(), split(n_val=0))
        one.log_files({"weights.npz": b"0"})
        one.set_end(failure, 1e9 + 10)
        whole.append(one)
    write_together(whole)
    store.start_run("n" * 300, {}, {"runner.key": "named at length"}).kill()
    again = store.start_run("again", {"seed": 1}, {"runner.key": "again"})
    again.kill()
    again = store.reopen_run(again.run_id)
    again.log_metrics(0, {"n_finished": 3.0})
    again.finish()
    store.set_tags(again.run_id, {"runner.rerun.x": "IDENTICAL", "empty": ""})
    store.start_run("left open", {}, {"runner.key": "open"})
    parent.fail("1 of 2 jobs failed")


def _session(wanted: Plan, *, is_sweep: bool) -> Callable[[Store], None]:
    def work(store: Store) -> None:
        run(Request(wanted, is_sweep=is_sweep), store, InProcess(), lambda _: None)

    return work


def interrupted(store: Store) -> None:
    """A sweep that a signal ends at its first job, and that the same command goes on with."""
    wanted = plan({"seed": 0}, {"seed": 1}, {"optimizer__learning_rate": 1e300})
    store.backend.runs_at_once = 1  # as the client, or it would be done before it is interrupted

    def interrupt(event: object) -> None:
        if isinstance(event, Ended):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Request(wanted, is_sweep=True), store, InProcess(), interrupt)
    for _ in range(2):
        run(Request(wanted, is_sweep=True), store, InProcess(), lambda _: None)


WORK = {
    "one of everything": one_of_everything,
    "a sweep in groups, with a job that fails": _session(
        plan({"seed": 0}, {"seed": 1}, {"optimizer__learning_rate": 1e300}), is_sweep=True
    ),
    "a single run": _session(plan({}), is_sweep=False),
    "a sweep that was interrupted": interrupted,
}


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_every_table_is_as_mlflows_client_leaves_it(
    work: Callable[[Store], None],
    tmp_path: Path,
    migrated_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {}
    for kind, revisions in ((EmbeddedStore, writer.KNOWN_REVISIONS), (ClientStore, set[str]())):
        monkeypatch.setattr("runner.tracking.opening.KNOWN_REVISIONS", revisions)
        folder = tmp_path / kind.__name__
        folder.mkdir()
        database = Path(shutil.copy(migrated_database, folder / "mlflow.db"))
        store = open_store(f"sqlite:///{database}", None, "a study")
        assert isinstance(store.backend, kind)
        work(store)
        store.leave()
        found[kind] = rows(database)
    ours, theirs = found[EmbeddedStore], found[ClientStore]
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name] == theirs[name], name
    assert len(ours["runs"]) > 0


def test_both_read_the_same(embedded: Store) -> None:
    one_of_everything(embedded)
    ours, theirs = embedded.backend, ClientStore(embedded.address.uri)
    ids = [embedded.experiment_id]
    assert ours.experiments() == theirs.experiments()
    for name in ("test", "Default", "none"):
        assert ours.experiment_named(name) == theirs.experiment_named(name)
    assert ours.experiment("77") is theirs.experiment("77") is None
    assert ours.run("0" * 32) is theirs.run("0" * 32) is None
    asked: list[tuple[dict[str, str], dict[str, Any]]] = [
        ({}, {}),
        ({"runner.kind": "sweep"}, {"status": "FAILED"}),
    ]
    for tags, statuses in asked:
        for newest_first in (True, False):
            kept = [
                list(s.runs(RunQuery(ids, tags, newest_first=newest_first, **statuses)))
                for s in (ours, theirs)
            ]
            assert len(kept[0]) > 0
            assert repr(kept[0]) == repr(kept[1])  # by its text, since NaN is not NaN
    for found in ours.runs(RunQuery(ids, {})):
        assert repr(ours.run(found.run_id)) == repr(theirs.run(found.run_id))
        every = [sorted(map(repr, s.metric_values(found.run_id))) for s in (ours, theirs)]
        assert every[0] == every[1]
        for name in found.metrics:
            one = [list(map(repr, s.metric_values(found.run_id, name))) for s in (ours, theirs)]
            assert one[0] == one[1]


def test_runs_that_are_written_together_are_there_whole_or_not_at_all(
    embedded: Store, database: Path
) -> None:
    runs = [embedded.start_run(str(n), {"seed": n}, {}, is_shown=False) for n in range(3)]
    for one in runs:
        one.log_metrics(0, {"train/loss": 1.0})
        one.log_files({"config.json": b"{}"})
        one.set_end()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TRIGGER third AFTER INSERT ON latest_metrics WHEN (SELECT count(*) FROM"
            " latest_metrics) = 3 BEGIN SELECT RAISE(ABORT, 'database is locked'); END"
        )
        connection.commit()
        with pytest.raises(StoreError, match="stayed locked by another program"):
            write_together(runs)
        for name in ("runs", "tags", "params", "metrics", "latest_metrics"):
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)  # noqa: S608  (ours)
        assert not list(database.parent.rglob("config.json"))
        connection.execute("DROP TRIGGER third")
        connection.commit()
        write_together(runs)
        ends = connection.execute("SELECT status FROM runs").fetchall()
    assert ends == [("FINISHED",)] * 3
    assert len(list(database.parent.rglob("config.json"))) == 3


RECORD = """
import sys
sys.path.insert(0, sys.argv[1])
from runner.jobs.executors.local import InProcess
from runner.jobs.events import Notice
from runner.jobs.session import Request, run
from runner.tracking import RunQuery, open_store
from tests.runner.jobs.planned import plan
store = open_store(sys.argv[2], None, "test")
run(Request(plan({}, {"seed": 1}), is_sweep=True), store, InProcess(),
    lambda event: isinstance(event, Notice) and print(event.text))
jobs = RunQuery([store.experiment_id], {"runner.kind": "run"})
print(sorted(job.status for job in store.backend.runs(jobs)))
"""


def test_a_schema_of_a_later_mlflow_is_left_to_its_client(
    database: Path, tmp_path: Path, start: Start
) -> None:
    """MLflow as it is, with one more migration, and a database that has been through it."""
    (known,) = writer.KNOWN_REVISIONS
    later = tmp_path / "later" / "mlflow"
    versions = "store/db_migrations/versions"
    for folder in (".", "store", "store/db_migrations", versions):
        (later / folder).mkdir() if folder != "." else later.mkdir(parents=True)
        for path in (Path(mlflow.__file__).parent / folder).iterdir():
            if not f"{versions}/".startswith(f"{Path(folder, path.name)}/"):
                (later / folder / path.name).symlink_to(path)
    (later / versions / "ffffffffffff_later.py").write_text(
        f'revision = "ffffffffffff"\ndown_revision = "{known}"\n\ndef upgrade():\n    pass\n'
    )
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    process = start(RECORD, later.parent, f"sqlite:///{database}")
    said, failed = process.communicate()
    assert (process.returncode, failed) == (0, "")
    remark, ends = said.splitlines()
    assert remark.startswith("Recording is slower with this MLflow")
    assert ends == "['FINISHED', 'FINISHED']"


KILLED = """
import os, signal, sys
from runner.tracking import open_store, write_together
from runner.tracking.backend.embedded import EmbeddedStore
store = open_store(sys.argv[1], None, "test")
for number in range(2):
    runs = [store.start_run(str(n), {}, {}, is_shown=False) for n in range(2)]
    for run in runs:
        run.log_files({"config.json": b"{}"})
        run.set_end()
    if number == 1:
        EmbeddedStore._write_rows = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    write_together(runs)
"""


def test_files_of_runs_that_a_kill_kept_out_of_the_database_are_removed(
    database: Path, start: Start
) -> None:
    process = start(KILLED, f"sqlite:///{database}")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(database.parent.rglob("config.json"))) == 4
    store = open_store(f"sqlite:///{database}", None, "test")
    kept = {run.run_id for run in store.backend.runs(RunQuery([store.experiment_id], {}))}
    assert len(kept) == 2
    assert {path.parts[-3] for path in database.parent.rglob("config.json")} == kept
    folders = (database.parent / "artifacts" / "test").iterdir()
    assert {path.name for path in folders} == kept


def test_an_experiment_that_was_deleted_takes_no_runs(embedded: Store) -> None:
    run = embedded.start_run("late", {}, {}, is_shown=False)
    embedded.client.delete_experiment(embedded.experiment_id)
    with pytest.raises(StoreError, match="the experiment 1 was deleted"):
        run.finish()
