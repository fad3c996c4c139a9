"""Opening a store: found, made where it is missing, or left alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from mlflow import MlflowClient

from runner.system.errors import StoreError
from runner.tracking import Store, find_store, open_store
from runner.tracking.backend.address import resolve
from runner.tracking.opening import connect, experiment_id_of


def test_a_missing_database_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    assert find_store(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}", None, "test") is None
    assert list(tmp_path.iterdir()) == []


def test_a_missing_experiment_is_not_made_by_looking_for_it(embedded: Store) -> None:
    assert find_store(embedded.address.uri, None, "another") is None
    names = {experiment.name for experiment in embedded.client.search_experiments()}
    assert "another" not in names


def test_a_store_that_is_there_is_found(embedded: Store) -> None:
    found = find_store(embedded.address.uri, None, "test")
    assert found is not None
    assert found.experiment_id == embedded.experiment_id
    assert found.where == embedded.where


def test_a_deleted_experiment_is_not_found(embedded: Store) -> None:
    embedded.client.delete_experiment(embedded.experiment_id)
    assert find_store(embedded.address.uri, None, "test") is None


def test_the_experiment_is_looked_for_by_config_then_variable_then_name(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("of the variable", "of the config"):
        open_store(embedded.address.uri, name, "test")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the variable")
    found = [find_store(embedded.address.uri, name, "test") for name in (None, "of the config")]
    assert [store and store.experiment for store in found] == ["of the variable", "of the config"]


def test_looking_for_a_store_leaves_its_runs_alone(embedded: Store) -> None:
    run = embedded.start_run("at work", {}, {})
    find_store(embedded.address.uri, None, "test")
    assert embedded.client.get_run(run.run_id).info.status == "RUNNING"
    run.finish()


@pytest.mark.parametrize("content", [b"", b"a text file, no database at all"])
def test_what_is_no_database_is_named_and_kept(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"mlflow\.db"):
        find_store(f"sqlite:///{file}", None, "test")
    assert file.read_bytes() == content


def test_two_connections_see_the_same_store(embedded: Store) -> None:
    run = embedded.start_run("seen", {}, {})
    run.finish()
    other = connect(resolve(embedded.address.uri))
    assert other.get_run(run.run_id).info.status == "FINISHED"


def test_many_at_once_make_one_experiment(embedded: Store) -> None:
    def ask(_: int) -> str:
        return experiment_id_of(MlflowClient(embedded.address.uri), "raced", embedded.address)

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(8)))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("iris", "iris"),
        ("a+b", "a-b"),
        ("../../etc", "etc"),
        ("...", "experiment"),
        ("x" * 250, "x" * 80),
        ("Größe 1/2", "Größe-1-2"),
    ],
)
def test_artifacts_lie_in_a_folder_of_that_name(
    embedded: Store, database: Path, name: str, folder: str
) -> None:
    made = embedded.client.get_experiment(experiment_id_of(embedded.client, name, embedded.address))
    place = Path(unquote(urlparse(made.artifact_location).path))
    assert place == database.parent / "artifacts" / folder
