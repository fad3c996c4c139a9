"""What MLflow knows of a run's data: by digest, one entry for each part, and cheaply."""

import json
from pathlib import Path

import numpy as np

from runner.tracking import Store
from runner.tracking.datasets import dataset_inputs
from runner.training.data import Dataset
from runner.training.data.dataset import make_dataset
from runner.training.data.splits import Split


def table(source: str = "scikit-learn iris", n_columns: int = 3) -> Dataset:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, n_columns))
    X[:, 0] = np.arange(10) % 2
    return make_dataset(
        name="flowers",
        feature_names=["colour", *(f"x{number}" for number in range(1, n_columns))],
        X=X,
        y=np.arange(10) % 2,
        class_names=["no", "yes"],
        source=source,
        categories={"colour": ("blue", "red")},
    )


def split(n_val: int = 2) -> Split:
    return Split(np.arange(6), np.arange(6, 6 + n_val), np.arange(8, 10))


def test_the_store_lists_each_part_with_its_context(embedded: Store) -> None:
    run = embedded.start_run("x", {}, {})
    run.log_datasets(table(), split())
    run.finish()
    inputs = embedded.client.get_run(run.run_id).inputs.dataset_inputs
    contexts = {found.tags[0].value: found.dataset for found in inputs}
    assert contexts.keys() == {"train", "val", "test"}
    assert {found.name for found in contexts.values()} == {"flowers"}
    assert len({found.digest for found in contexts.values()}) == 3
    assert json.loads(contexts["train"].profile) == {"num_rows": 6, "num_columns": 4}
    columns = json.loads(contexts["train"].schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("colour", "string"),
        ("x1", "double"),
        ("x2", "double"),
    ]


def test_a_part_without_rows_is_not_listed() -> None:
    contexts = [found.tags[0].value for found in dataset_inputs(table(), split(n_val=0))]
    assert contexts == ["train", "test"]


def test_equal_data_has_equal_digests_wherever_it_lies() -> None:
    here, there = (
        [found.dataset.digest for found in dataset_inputs(table(source), split())]
        for source in ("/data/a.csv", "/data/b.csv")
    )
    assert here == there


def test_another_split_has_other_digests() -> None:
    one, other = (
        {found.dataset.digest for found in dataset_inputs(table(), split(n_val))}
        for n_val in (1, 2)
    )
    assert not one & other


def test_a_file_is_a_source_that_mlflow_knows() -> None:
    dataset = dataset_inputs(table("/data/a.csv"), split())[0].dataset
    assert (dataset.source_type, json.loads(dataset.source)) == ("local", {"uri": "/data/a.csv"})


def test_a_table_of_very_many_columns_is_recorded(embedded: Store, tmp_path: Path) -> None:
    assert tmp_path.exists()
    run = embedded.start_run("wide", {}, {})
    run.log_datasets(table(n_columns=30_000), split())
    run.finish()
    assert len(embedded.client.get_run(run.run_id).inputs.dataset_inputs) == 3
