"""What is recorded goes to plain folders of the store, or through its server; nowhere else."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from runner.system.errors import RecordError
from runner.tracking import Store, open_store
from runner.tracking.backend.locations import local_folder
from runner.tracking.records.mlflow_record import find_run
from tests.runner.jobs.planned import outcomes, plan, work
from tests.runner.tracking.hostile_server import Answer, HostileServer

RUN_ID = "0123456789abcdef" * 2
ELSEWHERE = [
    "s3://bucket/x",
    "ftp://127.0.0.1:1/x",
    "hdfs://host/x",
    "dbfs:/x",
    "mlflow-artifacts:/x",
    "mlflow-artifacts://127.0.0.1:1/x",
    "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/x",
    "runs:/x",
    "file://elsewhere/x",
    "file:///x?y",
    "http://[::1",
    "x/y",
    "",
    "/x/../y",
    "file:///x/%2e%2e/y",
    "/x\0y",
    "s3://ada:secret@bucket/\x1b[2J",
]


def execute(database: Path, statement: str, *values: object) -> None:
    with closing(connect(database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def tell(store: Store, place: object) -> None:
    """Let a store name another place for the artifacts of its experiment."""
    assert store.address.database is not None
    statement = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
    execute(store.address.database, statement, str(place), store.experiment_id)


def looked_up(store: Store) -> Store:
    """The store as a rerun opens it, which does not believe it."""
    run = store.client.create_run(store.experiment_id)
    store.client.set_terminated(run.info.run_id)
    return find_run(store.address.uri, run.info.run_id).store


def refusal(store: Store) -> str:
    with pytest.raises(RecordError, match="experiment 'test': its artifacts must go") as caught:
        store.settle()
    told = str(caught.value)
    assert all(line.isprintable() for line in told.splitlines())
    assert len(told.splitlines()) <= 3
    assert "secret" not in told
    return told


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_database_cannot_send_artifacts_elsewhere(place: str, embedded: Store) -> None:
    found = looked_up(embedded)
    tell(embedded, place)
    assert "--check compares, and records nothing" in refusal(found)


def test_a_persons_own_store_may_send_them_to_a_cloud(embedded: Store) -> None:
    tell(embedded, "s3://bucket/x")
    store = open_store(embedded.address.uri, None, "test")
    assert store.settle().folder is None


def test_a_person_may_keep_artifacts_on_another_disk(embedded: Store, tmp_path: Path) -> None:
    tell(embedded, tmp_path / "disk" / "x")
    store = open_store(embedded.address.uri, None, "test")
    run = store.start_run("here", {}, {})
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "a.txt").write_text("a")
    run.log_folder(tmp_path / "sent")
    run.finish()
    assert (tmp_path / "disk" / "x" / run.run_id / "artifacts" / "a.txt").is_file()


def test_a_rerun_goes_to_no_other_disk(embedded: Store, tmp_path_factory: pytest.TempPathFactory):
    disk = tmp_path_factory.mktemp("disk")
    tell(embedded, disk)
    refusal(looked_up(embedded))
    assert list(disk.iterdir()) == []


def test_a_rerun_goes_through_no_link_that_leads_out_of_the_store(
    embedded: Store, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    disk = tmp_path_factory.mktemp("disk")
    (tmp_path / "link").symlink_to(disk)
    tell(embedded, tmp_path / "link" / "x")
    with pytest.raises(RecordError, match=f"must go below {tmp_path} or"):
        looked_up(embedded).settle()


def test_a_rerun_may_go_where_mlflow_puts_its_own(embedded: Store) -> None:
    place = Path.cwd() / "mlruns" / "1"
    tell(embedded, place)
    assert looked_up(embedded).settle().folder == place


def test_a_database_that_changes_its_mind_is_not_followed(embedded: Store, tmp_path: Path) -> None:
    database = embedded.address.database
    assert database is not None
    for table, column in (("runs", "artifact_uri"), ("logged_models", "artifact_location")):
        change = f"UPDATE {table} SET {column} = 's3://bucket/x'"  # noqa: S608  (our own words)
        execute(database, f"CREATE TRIGGER t_{table} AFTER INSERT ON {table} BEGIN {change}; END")
    (outcome,) = outcomes(work(looked_up(embedded), plan({}), (0,), alone=True)).values()
    assert outcome.status == "FINISHED"
    folder = tmp_path / "artifacts" / "test"
    assert (folder / outcome.run_id / "artifacts" / "weights.npz").is_file()
    (model,) = (folder / "models").iterdir()
    assert (model / "artifacts" / "MLmodel").is_file()


@pytest.fixture(params=["moved", "copied"])
def elsewhere(request: pytest.FixtureRequest, embedded: Store, tmp_path: Path) -> Store:
    """A store that is not where it was made, with a run; the first one may still be there."""
    (outcome,) = outcomes(work(embedded, plan({}), (0,), alone=True)).values()
    assert embedded.address.database is not None
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    act = shutil.move if request.param == "moved" else shutil.copytree
    act(tmp_path / "artifacts", folder / "artifacts")
    with closing(connect(embedded.address.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(folder / "mlflow.db"),))
    return find_run(f"sqlite:///{folder}/mlflow.db", outcome.run_id).store


@pytest.mark.parametrize("is_believed", [False, True])
def test_a_store_that_is_elsewhere_now_keeps_its_runs_together(
    is_believed: bool, elsewhere: Store, tmp_path: Path
) -> None:
    before = sorted(tmp_path.glob("artifacts/**/*"))
    store = open_store(elsewhere.address.uri, None, "test") if is_believed else elsewhere
    (outcome,) = outcomes(work(store, plan({"seed": 7}), (0,), alone=True)).values()
    folder = tmp_path / "elsewhere" / "artifacts" / "test"
    assert (folder / outcome.run_id / "artifacts" / "weights.npz").is_file()
    # And MLflow's own pages find them there.
    listed = {file.path for file in store.client.list_artifacts(outcome.run_id)}
    assert "weights.npz" in listed
    run = store.client.get_run(outcome.run_id)
    assert run.outputs is not None
    (output,) = run.outputs.model_outputs
    model = store.client.get_logged_model(output.model_id)
    assert local_folder(str(model.artifact_location)) == (
        folder / "models" / output.model_id / "artifacts"
    )
    assert sorted(tmp_path.glob("artifacts/**/*")) == before


def test_a_run_that_goes_on_in_a_moved_store_has_its_files_there(
    elsewhere: Store, tmp_path: Path
) -> None:
    store = open_store(elsewhere.address.uri, None, "test")
    (old,) = store.client.search_runs([store.experiment_id])
    run = store.reopen_run(old.info.run_id)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "late.txt").write_text("late")
    run.log_folder(tmp_path / "sent")
    run.finish()
    files = {file.path for file in store.client.list_artifacts(run.run_id)}
    assert files > {"late.txt", "weights.npz"}


def answering(location: str, created: str) -> Callable[[str], Answer]:
    """A tracking server with one run, that names these places for artifacts."""

    def run(place: str) -> object:
        told = {"run_id": RUN_ID, "run_uuid": RUN_ID, "experiment_id": "1", "status": "FINISHED"}
        told |= {"start_time": "0", "artifact_uri": place, "lifecycle_stage": "active"}
        return {"run": {"info": told, "data": {}}}

    experiment = {"experiment_id": "1", "name": "x", "artifact_location": location}
    known = {
        "runs/get": run("mlflow-artifacts:/x"),
        "runs/create": run(created),
        "experiments/get": {"experiment": experiment | {"lifecycle_stage": "active"}},
    }

    def answer(path: str) -> Answer:
        asked = path.partition("?")[0]
        found = next((known[name] for name in known if asked.endswith(name)), {})
        return 200, json.dumps(found).encode()

    return answer


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


THROUGH = "must go through its server"


@pytest.mark.parametrize("when", ["before", "at the creation"])
@pytest.mark.parametrize("scheme", ["http", "mlflow-artifacts"])
def test_a_server_cannot_send_a_rerun_to_another(scheme: str, when: str) -> None:
    with HostileServer() as other:
        place = other.address.replace("http", scheme) + "/x"
        answer = answering(*([place] * 2 if when == "before" else ["mlflow-artifacts:/x", place]))
        with HostileServer(answer=answer) as server:
            store = find_run(server.address, RUN_ID).store
            with pytest.raises(RecordError, match=THROUGH):
                store.start_run("x", {}, {})
        assert other.is_untouched


@pytest.mark.parametrize("place", ["/srv/x", "file:///srv/x", "s3://bucket/x", "http://[::1", ""])
def test_a_server_cannot_have_a_rerun_write_anywhere_else(place: str) -> None:
    with HostileServer(answer=answering(place, place)) as server:
        store = find_run(server.address, RUN_ID).store
        with pytest.raises(RecordError, match=THROUGH):
            store.settle()


def test_a_server_takes_the_artifacts_of_a_rerun_itself(server: str) -> None:
    store = open_store(server, None, "destinations")
    (first,) = outcomes(work(store, plan({}), (0,), alone=True)).values()
    found = find_run(server, first.run_id).store
    (again,) = outcomes(work(found, plan({"seed": 5}), (0,), alone=True)).values()
    listed = {file.path for file in found.client.list_artifacts(again.run_id)}
    assert "weights.npz" in listed
