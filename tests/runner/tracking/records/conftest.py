"""An honest run in an exported folder, and copies of it for tests to spoil."""

import shutil
from pathlib import Path

import pytest

from runner.tracking import open_store
from runner.tracking.records import Original, write_folder
from runner.tracking.records.mlflow_record import find_original
from tests.runner.jobs.planned import outcomes, plan, work
from tests.runner.tracking.records.spoiling import Record


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Path:
    """A short run, trained, recorded and exported as a person would."""
    folder = tmp_path_factory.mktemp("honest")
    database = Path(shutil.copy(migrated_database, folder / "mlflow.db"))
    store = open_store(f"sqlite:///{database}", None, "test")
    (outcome,) = outcomes(work(store, plan({}), (0,), alone=True)).values()
    original = Original.read(find_original(store.address.uri, outcome.run_id))
    write_folder(original, folder / "run")
    return folder / "run"


@pytest.fixture
def record(honest: Path, tmp_path: Path) -> Record:
    """A copy of the honest run."""
    return Record(Path(shutil.copytree(honest, tmp_path / "record")))
