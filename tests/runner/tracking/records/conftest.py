"""An honest run in an exported folder, and copies of it for tests to edit."""

import shutil
from pathlib import Path

import pytest

from runner.tracking import open_store
from runner.tracking.records import Record, write_folder
from runner.tracking.records.mlflow_record import find_run
from tests.runner.jobs.planned import outcomes, plan, work
from tests.runner.tracking.records.edited_folder import EditedFolder


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Path:
    """A short run, trained, recorded and exported as a person would."""
    folder = tmp_path_factory.mktemp("honest")
    database = Path(shutil.copy(migrated_database, folder / "mlflow.db"))
    store = open_store(f"sqlite:///{database}", None, "test")
    (outcome,) = outcomes(work(store, plan({}), (0,), is_alone=True)).values()
    write_folder(Record.read(find_run(store.address.uri, outcome.run_id)), folder / "run")
    return folder / "run"


@pytest.fixture
def edited(honest: Path, tmp_path: Path) -> EditedFolder:
    """A copy of the honest run."""
    return EditedFolder(Path(shutil.copytree(honest, tmp_path / "record")))
