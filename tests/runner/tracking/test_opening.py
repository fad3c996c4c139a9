"""A store is found, made where it is missing, or left alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from urllib.parse import unquote, urlparse

import pytest

from runner.system.errors import StoreError
from runner.tracking import (
    Store,
    StoreAddress,
    address_of,
    find_store,
    find_stores,
    open_store,
    store_at,
)


def test_a_missing_database_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    assert find_store(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}", None, "test") is None
    assert list(tmp_path.iterdir()) == []


def test_looking_for_a_store_changes_nothing(embedded: Store) -> None:
    run = embedded.start_run("at work", {}, {})
    store = find_store(embedded.address.uri, None, "test")
    assert store is not None
    assert (store.experiment_id, store.where) == (embedded.experiment_id, embedded.where)
    assert find_store(embedded.address.uri, None, "another") is None
    names = {experiment.name for experiment in embedded.client.search_experiments()}
    assert names == {"Default", "test"}
    assert embedded.client.get_run(run.run_id).info.status == "RUNNING"
    run.finish()


def test_experiments_beyond_the_first_page_are_found(embedded: Store) -> None:
    assert embedded.address.database is not None
    with closing(connect(embedded.address.database)) as connection:
        connection.executemany(
            "INSERT INTO experiments (name, lifecycle_stage) VALUES (?, 'active')",
            [(f"other {number}",) for number in range(1100)],
        )
        connection.commit()
    sweep = embedded.start_run("sweep", {}, {"runner.kind": "sweep"})
    assert len(find_stores(embedded.address.uri)) == 1102
    assert [found.run_id for found in embedded.sweeps.all()] == [sweep.run_id]
    sweep.finish()


@pytest.mark.parametrize("opening", [find_store, open_store])
def test_a_deleted_experiment_is_named_and_not_made_again(
    opening: Callable[..., Store | None], embedded: Store
) -> None:
    embedded.client.delete_experiment(embedded.experiment_id)
    with pytest.raises(StoreError, match=r"the experiment 'test' was deleted") as caught:
        opening(embedded.address.uri, None, "test")
    command = f"  mlflow experiments restore --experiment-id {embedded.experiment_id}"
    assert str(caught.value).splitlines()[1:2] == [command]


def test_the_experiment_is_chosen_by_config_then_variable_then_name(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = embedded.address.uri
    assert open_store(uri, None, "name").experiment == "name"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "variable")
    assert open_store(uri, None, "name").experiment == "variable"
    assert open_store(uri, "config", "name").experiment == "config"
    found = [find_store(uri, experiment, "name") for experiment in (None, "config")]
    assert [store and store.experiment for store in found] == ["variable", "config"]


def test_many_at_once_make_one_experiment(embedded: Store) -> None:
    def make(_: int) -> str:
        return open_store(embedded.address.uri, None, "raced").experiment_id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(8)))) == 1


FOLDERS = {"iris": "iris", "a+b": "a-b", "../../etc": "etc", "..": "experiment"}
FOLDERS |= {"x" * 400: "x" * 80, "Größe 1/2": "Größe-1-2"}


@pytest.mark.parametrize(("name", "folder"), FOLDERS.items())
def test_artifacts_lie_beside_the_database_in_a_folder_of_that_name(
    database: Path, name: str, folder: str
) -> None:
    store = open_store(f"sqlite:///{database}", None, name)
    location = store.client.get_experiment(store.experiment_id).artifact_location
    assert Path(unquote(urlparse(location).path)) == database.parent / "artifacts" / folder


def test_a_store_is_opened_again_from_its_address(embedded: Store) -> None:
    address = address_of(embedded)
    assert store_at(address) is embedded
    for name in ("another", "a third"):  # the last two are kept
        address_of(open_store(embedded.address.uri, None, name))
    again = store_at(address)
    assert again is not embedded
    assert (again.experiment_id, again.where) == (embedded.experiment_id, embedded.where)


def test_a_worker_that_cannot_open_the_store_says_that_the_store_fails() -> None:
    place = StoreAddress("http://127.0.0.1:9", "1", "test", is_named=True)
    with pytest.raises(StoreError, match=r"no MLflow server answers at http://127\.0\.0\.1:9: "):
        store_at(place)
