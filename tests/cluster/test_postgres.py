"""A database as the store, without a server before it."""

import subprocess
from pathlib import Path

import mlflow
import pytest

from benchmarks.sweeps.cluster import missing_for_postgres
from tests.runner.conftest import Command

MISSING = missing_for_postgres()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"PostgreSQL was NOT tested: {MISSING}")
SHORT = ["training.steps=20", "training.evaluate_every=10"]


@pytest.fixture
def database(serving: tuple[str, subprocess.Popen[bytes], str]) -> str:
    return serving[2]


def test_a_database_that_says_no_place_for_files_is_refused(
    command: Command, database: str
) -> None:
    done = command(f"tracking.uri={database}", "name=nowhere", *SHORT)
    assert done.returncode == 2
    assert done.stderr.startswith("tracking.uri: must say where files of runs go")
    assert mlflow.MlflowClient(database).get_experiment_by_name("nowhere") is None
    assert not list(command.folder.iterdir())


def test_a_sweep_is_recorded_in_a_database_whose_experiment_has_a_place(
    command: Command, database: str, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(database)
    experiment = client.create_experiment("placed", (tmp_path / "artifacts").as_uri())
    words = [f"tracking.uri={database}", "name=placed", "-m", "seed=0,1", *SHORT]
    done = command(*words)
    assert done.returncode == 0, done.stderr
    runs = client.search_runs([experiment])
    assert sorted(run.data.tags["runner.kind"] for run in runs) == ["group", "run", "run", "sweep"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert "is complete: 2 jobs" in command(*words).stderr


def test_a_database_that_does_not_answer_is_named(command: Command) -> None:
    done = command("tracking.uri=postgresql://ada:secret@127.0.0.1:9/runs", *SHORT)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "tracking.uri: no database answers at postgresql://ada@127.0.0.1:9/runs: "
    )
    assert "secret" not in done.stderr
