"""One run from RUNNING to its end, on a real store."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.errors import StoreError
from runner.tracking import Store
from runner.tracking.backend.rows import DatasetPart
from runner.tracking.run_writer import dataset_parts, legal_name, params_of
from runner.training.data import Dataset
from runner.training.data.splits import Split
from tests.runner.tracking.conftest import left


def history(store: Store, run_id: str, metric: str) -> list[tuple[int, float]]:
    found = store.client.get_metric_history(run_id, metric)
    return [(each.step, each.value) for each in found]


def test_a_finished_run_has_everything(embedded: Store, tmp_path: Path) -> None:
    run = embedded.start_run("learning_rate=0.1", {"seed": 3}, {"runner.kind": "run"})
    assert embedded.client.get_run(run.run_id).info.status == "RUNNING"
    for step in (0, 100, 200):
        run.log_metrics(step, {"train/loss": 1 / (step + 1), "val/accuracy": step / 200})
    run.log_folder(left(tmp_path))
    run.set_tags({"runner.weights_sha256": "0" * 64})
    run.finish()

    found = embedded.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "learning_rate=0.1"
    assert found.data.params == {"seed": "3"}
    assert found.data.metrics == {"train/loss": 1 / 201, "val/accuracy": 1.0}
    assert found.data.tags["runner.kind"] == "run"
    assert found.data.tags["runner.weights_sha256"] == "0" * 64
    assert history(embedded, run.run_id, "train/loss") == [(0, 1.0), (100, 1 / 101), (200, 1 / 201)]
    copied = embedded.client.download_artifacts(run.run_id, "config.yaml", str(tmp_path))
    assert Path(copied).read_text() == "seed: 0\n"


def test_doubles_keep_every_bit(embedded: Store) -> None:
    # But for the sign of zero, which SQLite drops.
    values = [0.1, 5e-324, 1.7976931348623157e308, 0.0, 1 / 3]
    run = embedded.start_run("exact", {}, {})
    for step, value in enumerate(values):
        run.log_metrics(step, {"train/loss": value})
    run.finish()
    found = [value for _, value in history(embedded, run.run_id, "train/loss")]
    assert [value.hex() for value in found] == [value.hex() for value in values]


@pytest.mark.parametrize(("flush_every_s", "written"), [(60.0, []), (0.0, [(1, 1.0)])])
def test_metrics_wait_for_a_batch(
    flush_every_s: float, written: list[tuple[int, float]], embedded: Store
) -> None:
    run = embedded.start_run("long", {"seed": 0}, {}, flush_every_s=flush_every_s)
    run.log_metrics(1, {"train/loss": 1.0})
    assert history(embedded, run.run_id, "train/loss") == written
    run.finish()
    assert history(embedded, run.run_id, "train/loss") == [(1, 1.0)]


def test_a_run_of_thousands_of_metrics_is_written_whole(embedded: Store) -> None:
    run = embedded.start_run("long", {f"p{number}": number for number in range(250)}, {})
    for step in range(2500):
        run.log_metrics(step, {"train/loss": float(step)})
    run.finish()
    assert len(history(embedded, run.run_id, "train/loss")) == 2500
    assert len(embedded.client.get_run(run.run_id).data.params) == 250


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_that_fails_or_is_killed_keeps_what_was_logged_and_says_why(
    status: str, embedded: Store
) -> None:
    run = embedded.start_run("bad", {"seed": 0}, {})
    run.log_metrics(100, {"train/loss": math.nan})
    end = run.fail if status == "FAILED" else run.kill
    end("loss is not finite at step 100" + "." * 9000)
    found = embedded.client.get_run(run.run_id)
    assert found.info.status == status
    assert found.data.tags["runner.failure"].startswith("loss is not finite at step 100..")
    assert found.data.tags["runner.failure"].endswith(". ...")
    assert found.data.params == {"seed": "0"}
    ((step, value),) = history(embedded, run.run_id, "train/loss")
    assert (step, math.isnan(value)) == (100, True)


def test_what_a_failing_store_refused_is_written_later(embedded: Store, database: Path) -> None:
    run = embedded.start_run("patient", {"seed": 0}, {})
    run.log_metrics(1, {"train/loss": 1.0})
    embedded.client.delete_run(run.run_id)  # which refuses to be written to
    with pytest.raises(StoreError, match=r"mlflow\.db: .*must be in the 'active' state"):
        run.finish()
    embedded.client.restore_run(run.run_id)
    assert embedded.client.get_run(run.run_id).info.status == "RUNNING"
    run.finish()
    assert embedded.client.get_run(run.run_id).info.status == "FINISHED"
    assert history(embedded, run.run_id, "train/loss") == [(1, 1.0)]
    assert database.exists()


def test_an_artifact_that_cannot_be_written_is_named(embedded: Store, tmp_path: Path) -> None:
    run = embedded.start_run("full", {}, {})
    (tmp_path / "artifacts").write_text("a file where a folder has to be")
    with pytest.raises(StoreError, match=r"artifacts.*: cannot be written: not a directory"):
        run.log_folder(left(tmp_path))
    run.fail("disk")


def test_a_config_is_flattened() -> None:
    config = {"a": {"b": {"c": 1}}, "x": 0.1, "y": 1e-05, "z": True, "text": "a, b", "none": ""}
    params = {"a.b.c": "1", "x": "0.1", "y": "1e-05", "z": "true", "text": "a, b", "none": ""}
    more = {"n": None, "sizes": [8, 4], "early_stopping": {}, "name": "Größe"}
    flat = {"n": "null", "sizes": "[8, 4]", "early_stopping": "{}", "name": "Größe"}
    assert params_of(config | more) == params | flat


def test_a_long_value_gives_way_to_its_digest(embedded: Store) -> None:
    long = list(range(3000))
    run = embedded.start_run("long", {"data": {"features": long}}, {})
    run.finish()
    stored = embedded.client.get_run(run.run_id).data.params["data.features"]
    assert stored.startswith("sha256 ")
    assert stored.endswith(f" ({len(json.dumps(long)):,} characters, see config.yaml)")
    assert params_of({"features": long[:-1]}) != params_of({"features": long})


NAMES = st.text(max_size=300) | st.text(alphabet="ab./ -:_", max_size=12)


@given(name=NAMES, other=NAMES)
def test_every_name_becomes_one_of_its_own_that_mlflow_takes(name: str, other: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(legal_name(name))
    assert len(legal_name(name)) <= 250
    assert legal_name(legal_name(name)) == legal_name(name)
    assert (legal_name(name) == legal_name(other)) == (name == other)


def table(source: str = "scikit-learn iris", n_columns: int = 3) -> Dataset:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, n_columns))
    X[:, 0] = np.arange(10) % 2
    return Dataset(
        name="flowers",
        feature_names=("colour", *(f"x{number}" for number in range(1, n_columns))),
        X=X,
        y=np.arange(10) % 2,
        class_names=("no", "yes"),
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
    types = {column["name"]: column["type"] for column in columns}
    expected = {"colour": "string", "x1": "double", "x2": "double", "class": "string"}
    assert types == expected
    without_val = [part.context for part in dataset_parts(table(), split(n_val=0))]
    assert without_val == ["train", "test"]


def test_digests_depend_on_data_and_split_and_not_on_the_place() -> None:
    def inputs(source: str, n_val: int) -> Sequence[DatasetPart]:
        return dataset_parts(table(source), split(n_val))

    one, moved, other = inputs("/data/a.csv", 1), inputs("/data/b.csv", 1), inputs("/data/a.csv", 2)
    assert [each.digest for each in one] == [each.digest for each in moved]
    assert not {each.digest for each in one} & {each.digest for each in other}
    assert (one[0].source_type, json.loads(one[0].source)) == ("local", {"uri": "/data/a.csv"})


def test_a_table_of_very_many_columns_is_recorded(embedded: Store) -> None:
    run = embedded.start_run("wide", {}, {})
    run.log_datasets(table(n_columns=30_000), split())
    run.finish()
    assert len(embedded.client.get_run(run.run_id).inputs.dataset_inputs) == 3
