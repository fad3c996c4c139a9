"""Experiments by name: one of each, whoever asks, and in how many threads at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from mlflow import MlflowClient

from runner.system.errors import StoreError
from runner.tracking import Store
from runner.tracking.mlflow_experiments import experiment_id_of


def test_asked_again_it_is_the_same_one(embedded: Store) -> None:
    first = experiment_id_of(embedded.client, "iris", embedded.address)
    assert experiment_id_of(embedded.client, "iris", embedded.address) == first
    assert embedded.client.get_experiment(first).name == "iris"
    assert experiment_id_of(embedded.client, "wine", embedded.address) != first


def test_asked_by_many_at_once_it_is_made_once(embedded: Store) -> None:
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


def test_a_deleted_one_is_not_made_again(embedded: Store) -> None:
    embedded.client.delete_experiment(embedded.experiment_id)
    with pytest.raises(StoreError, match=r"the experiment 'test' was deleted") as caught:
        experiment_id_of(embedded.client, "test", embedded.address)
    assert f"--experiment-id {embedded.experiment_id}" in str(caught.value)
