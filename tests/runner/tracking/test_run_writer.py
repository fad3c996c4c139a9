"""One run from RUNNING to its end, on a real store."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.errors import StoreError
from runner.tracking import Store
from runner.tracking.run_writer import flattened, legal_name


def history(store: Store, run_id: str, metric: str) -> list[tuple[int, float]]:
    found = store.client.get_metric_history(run_id, metric)
    return [(each.step, each.value) for each in found]


def test_a_finished_run_has_everything(embedded: Store, tmp_path: Path) -> None:
    run = embedded.start_run("learning_rate=0.1", {"seed": 3}, {"runner.kind": "run"})
    assert embedded.client.get_run(run.run_id).info.status == "RUNNING"
    for step in (0, 100, 200):
        run.log_metrics(step, {"train/loss": 1 / (step + 1), "val/accuracy": step / 200})
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "config.yaml").write_text("seed: 3\n")
    run.log_folder(tmp_path / "left")
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
    assert Path(copied).read_text() == "seed: 3\n"


def test_doubles_keep_every_bit(embedded: Store) -> None:
    # But for the sign of zero, which SQLite drops.
    values = [0.1, 5e-324, 1.7976931348623157e308, 0.0, 1 / 3]
    run = embedded.start_run("exact", {}, {})
    for step, value in enumerate(values):
        run.log_metrics(step, {"train/loss": value})
    run.finish()
    found = [value for _, value in history(embedded, run.run_id, "train/loss")]
    assert [value.hex() for value in found] == [value.hex() for value in values]


def test_numbers_that_are_not_finite_are_kept_as_far_as_mlflow_can(embedded: Store) -> None:
    run = embedded.start_run("diverged", {}, {})
    run.log_metrics(1, {"train/loss": math.nan})
    run.log_metrics(2, {"train/loss": math.inf})
    run.finish()
    (_, first), (_, second) = history(embedded, run.run_id, "train/loss")
    assert math.isnan(first)
    assert second > 1e308


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


def test_a_failed_run_says_why(embedded: Store) -> None:
    run = embedded.start_run("bad", {"seed": 0}, {})
    run.log_metrics(100, {"train/loss": math.nan})
    run.fail("loss is not finite at step 100" + "." * 9000)
    found = embedded.client.get_run(run.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags["runner.failure"].startswith("loss is not finite at step 100..")
    assert found.data.tags["runner.failure"].endswith(". ...")
    assert found.data.params == {"seed": "0"}


def test_a_killed_run_keeps_what_was_noted(embedded: Store) -> None:
    run = embedded.start_run("stopped", {}, {})
    run.log_metrics(1, {"train/loss": 1.0})
    run.kill()
    assert embedded.client.get_run(run.run_id).info.status == "KILLED"
    assert history(embedded, run.run_id, "train/loss") == [(1, 1.0)]


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
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "config.yaml").touch()
    (tmp_path / "artifacts").write_text("a file where a folder has to be")
    with pytest.raises(StoreError, match=r"artifacts.*: cannot be written: not a directory"):
        run.log_folder(tmp_path / "left")
    run.fail("disk")


@pytest.mark.parametrize(
    ("config", "params"),
    [
        ({"a": {"b": {"c": 1}}, "d": 2}, {"a.b.c": "1", "d": "2"}),
        (
            {"x": 0.1, "y": 1e-05, "z": True, "n": None},
            {"x": "0.1", "y": "1e-05", "z": "true", "n": "null"},
        ),
        (
            {"text": "a, b", "none": "", "sizes": [8, 4]},
            {"text": "a, b", "none": "", "sizes": "[8, 4]"},
        ),
        ({"early_stopping": {}}, {"early_stopping": "{}"}),
        ({"name": "Größe"}, {"name": "Größe"}),
    ],
)
def test_a_config_is_flattened(config: dict[str, Any], params: dict[str, str]) -> None:
    assert flattened(config) == params


def test_a_long_value_gives_way_to_its_digest(embedded: Store) -> None:
    long = list(range(3000))
    run = embedded.start_run("long", {"data": {"features": long}}, {})
    run.finish()
    stored = embedded.client.get_run(run.run_id).data.params["data.features"]
    assert stored.startswith("sha256 ")
    assert stored.endswith(f" ({len(json.dumps(long)):,} characters, see config.yaml)")
    assert flattened({"features": long[:-1]}) != flattened({"features": long})


NAMES = st.text(max_size=300) | st.text(alphabet="ab./ -:_", max_size=12)


@given(name=NAMES, other=NAMES)
def test_every_name_becomes_one_of_its_own_that_mlflow_takes(name: str, other: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(legal_name(name))
    assert len(legal_name(name)) <= 250
    assert legal_name(legal_name(name)) == legal_name(name)
    assert (legal_name(name) == legal_name(other)) == (name == other)


@pytest.mark.parametrize("name", ["train/loss", "optimizer.learning_rate", "best/step", "f1: a-b"])
def test_a_good_name_stays(name: str) -> None:
    assert legal_name(name) == name
