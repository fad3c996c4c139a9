"""A run's record ends honestly, whatever happens on the way."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

import runner.record
from runner.config import Experiment
from runner.errors import StoreError, Terminated
from runner.prepared import prepare
from runner.record import run_job
from runner.tracking import Store, open_store
from tests.runner.test_execute import CONFIG, experiment

EXPERIMENT = Experiment.from_dict(CONFIG)


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


def status(store: Store) -> tuple[str, str | None]:
    client = MlflowClient(store.address.uri)
    (run,) = client.search_runs([store.experiment_id])
    return run.info.status, run.data.tags.get("runner.failure")


def record(store: Store, one: Experiment = EXPERIMENT) -> None:
    run_job(store, one, prepare(one), "a run", {}, single=False)


def raising(error: BaseException) -> Callable[..., None]:
    def fault(*_: object, **__: object) -> None:
        raise error

    return fault


def test_a_finished_run_has_its_config_metrics_weights_and_digests(opened: Store) -> None:
    record(opened)
    client = MlflowClient(opened.address.uri)
    (run,) = client.search_runs([opened.experiment_id])
    assert run.info.status == "FINISHED"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
        "config.yaml", "environment.json", "weights.npz"
    }  # fmt: skip
    assert {"train/loss", "val/accuracy", "test/accuracy"} <= set(run.data.metrics)
    assert len(client.get_metric_history(run.info.run_id, "val/loss")) == 60 / 5
    assert run.data.params["optimizer.learning_rate"] == "0.5"
    for tag in ("kind", "key", "varied", "data_digest", "split_digest", "weights_sha256"):
        assert f"runner.{tag}" in run.data.tags


def test_a_diverged_run_is_failed_with_its_reason(opened: Store) -> None:
    record(opened, experiment(optimizer__learning_rate=1e200))
    assert status(opened) == ("FAILED", "norm of the parameters is not finite at step 5")


@pytest.mark.parametrize("stage", ["train", "_store_result"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), ("KILLED", None)),
        (Terminated(), ("KILLED", None)),
        (MemoryError("no room"), ("FAILED", "MemoryError: no room")),
        (StoreError("/there: cannot be written"), ("FAILED", "/there: cannot be written")),
    ],
)
def test_what_ends_a_run_is_what_it_says(
    opened: Store,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    error: BaseException,
    expected: tuple[str, str | None],
) -> None:
    monkeypatch.setattr(runner.record, stage, raising(error))
    with pytest.raises(type(error)):
        record(opened)
    assert status(opened) == expected


def test_a_scratch_disk_of_no_use_is_said_with_its_place(
    opened: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StoreError, match=r"gone.*: cannot be written: no such file"):
        record(opened)
    assert status(opened)[0] == "FAILED"


def test_an_interrupt_after_the_end_leaves_a_finished_run_finished(opened: Store) -> None:
    run = opened.start_run("a run", {}, {})
    run.finish()
    run.kill()
    run.fail("too late")
    assert status(opened) == ("FINISHED", None)
