"""A database as the store, without a server before it."""

from pathlib import Path

import mlflow
import pytest

from benchmarks.sweeps.cluster import Cluster, Serving, missing_for_postgres
from tests.runner.conftest import Command

# Where a tracking server takes files by HTTP, also from who does not record through it.
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
MISSING = missing_for_postgres()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"PostgreSQL was NOT tested: {MISSING}")
SHORT = ["training.steps=20", "training.evaluate_every=10"]


@pytest.fixture
def database(serving: Serving) -> str:
    return serving.database


def sweep(database: str, name: str, place: object) -> list[str]:
    at = [f"tracking.uri={database}", f"tracking.artifacts={place}"]
    return [*at, f"name={name}", "-m", "seed=0,1", *SHORT]


def test_a_database_without_a_place_for_files_is_refused(command: Command, database: str) -> None:
    done = command(f"tracking.uri={database}", "name=nowhere", *SHORT)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "tracking.artifacts: must be a place that all machines reach where tracking.uri is a "
        "database, which keeps no files, got None. "
    )
    assert mlflow.MlflowClient(database).get_experiment_by_name("nowhere") is None
    assert not list(command.folder.iterdir())


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_a_sweep_is_recorded_in_a_database_and_its_files_in_their_place(
    kind: str, command: Command, database: str, server: str, tmp_path: Path
) -> None:
    place = tmp_path / "files" if kind == "folder" else f"{server}{PROXY}/direct"
    words = sweep(database, f"placed in a {kind}", place)
    done = command(*words)
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(database)
    experiment = client.get_experiment_by_name(f"placed in a {kind}")
    assert experiment is not None
    where = place.as_uri() if isinstance(place, Path) else place
    assert experiment.artifact_location == f"{where}/placed-in-a-{kind}"
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["runner.kind"] for run in runs) == ["group", "run", "run", "sweep"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert "is complete: 2 jobs" in command(*words).stderr
    # One whose files are elsewhere goes nowhere else.
    done = command(*sweep(database, f"placed in a {kind}", tmp_path / "another"))
    assert done.returncode == 2
    assert done.stderr.startswith("tracking.artifacts: must be the place of the experiment")


def test_a_cluster_records_in_a_database_where_all_share_the_folder(
    command: Command, database: str, tmp_path: Path, cluster: Cluster
) -> None:
    words = [*sweep(database, "of a cluster", tmp_path / "files"), "executor=dask"]
    words += [f"executor.address={cluster.address}", "executor.wait_s=30"]
    done = command(*words, "executor.n_workers=2")
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(database)
    experiment = client.get_experiment_by_name("of a cluster")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`runner.kind` = 'run'")
    assert [run.info.status for run in found] == ["FINISHED"] * 2
    assert all(Path(tmp_path, "files", "of-a-cluster", r.info.run_id).is_dir() for r in found)
    # A rerun takes no place from a record; from the person it does.
    executor = [word for word in words if word.startswith("executor")]
    again = ["rerun", str(found[0].data.tags["runner.sweep"]), "--uri", database, "--in-place"]
    done = command(*again, *executor)
    assert done.returncode == 2
    assert "its artifacts must go below tracking.artifacts (null) for a rerun" in done.stderr
    for where in (executor, []):
        done = command(*again, f"tracking.artifacts={tmp_path}/files", *where)
        assert done.returncode == 0, done.stderr
        assert "2 of 2 identical" in done.stdout
    # A disk of its own over the folder, which this worker alone sees.
    mount = f'mount -t tmpfs none {tmp_path}/files && exec "$@"'
    cluster.start_worker("elsewhere", within=("unshare", "--mount", "sh", "-c", mount, "sh"))
    done = command(*words, "executor.n_workers=3", "sweep.restart=true")
    assert done.returncode == 2
    assert "tracking.artifacts: must be a folder that all machines share; " in done.stderr
    assert "is not the same on the worker tcp://" in done.stderr


def test_a_database_that_does_not_answer_is_named(command: Command) -> None:
    at = ["tracking.uri=postgresql://ada:secret@127.0.0.1:9/runs", "tracking.artifacts=/srv"]
    done = command(*at, *SHORT)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "tracking.uri: no database answers at postgresql://ada@127.0.0.1:9/runs: "
    )
    assert "secret" not in done.stderr


def test_a_rerun_of_another_store_is_recorded_in_a_database_of_ones_own(
    command: Command, database: str, tmp_path: Path
) -> None:
    other = f"sqlite:///{tmp_path}/colleague/mlflow.db"
    done = command(f"tracking.uri={other}", "name=of a colleague", *SHORT)
    assert done.returncode == 0, done.stderr
    (run,) = mlflow.MlflowClient(other).search_runs(["1"])
    again = ["rerun", run.info.run_id, "--uri", other]
    done = command(*again, MLFLOW_TRACKING_URI=database)
    assert done.returncode == 2
    assert done.stderr.startswith("tracking.artifacts: must be a place that all machines reach")
    done = command(*again, f"tracking.artifacts={tmp_path}/files", MLFLOW_TRACKING_URI=database)
    assert done.returncode == 0, done.stderr
    experiment = mlflow.MlflowClient(database).get_experiment_by_name("of a colleague")
    assert experiment is not None
    (rerun,) = mlflow.MlflowClient(database).search_runs([experiment.experiment_id])
    assert rerun.data.tags["runner.weights_sha256"] == run.data.tags["runner.weights_sha256"]
