"""A run's record: what it holds when it is FINISHED, and what its end says otherwise."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from runner.jobs.worker.recording import (
    begin_run,
    close_run,
    end_run,
    outcome_of,
    record_failure,
    scratch_folder,
)
from runner.jobs.worker.task import Task, TaskJob
from runner.system.errors import DataError, StoreError, Terminated
from runner.tracking import RunWriter, Store, open_store
from runner.training.outcome import Outcome
from runner.training.prepare import prepare
from runner.training.train import train
from tests.runner.jobs.planned import STOPPING, plan, task


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


def only(store: Store) -> Run:
    (run,) = MlflowClient(store.address.uri).search_runs([store.experiment_id])
    return run


def status(store: Store) -> tuple[str, str | None]:
    run = only(store)
    return run.info.status, run.data.tags.get("runner.failure")


def begin(store: Store, started_s: float | None = None, **changes: object) -> RunWriter:
    """Begin the run of a job that is alone."""
    one = task(store, plan(changes), is_alone=True)
    return begin_run(store, one, one.jobs[0], started_s=started_s)


def record(store: Store, *, is_alone: bool = False, **changes: object) -> Outcome:
    """Train a job, and record all of it."""
    one = task(store, plan(changes), is_alone=True)
    planned = one.jobs[0].planned
    prepared = prepare(planned.experiment)
    (result,) = train(prepared, [planned.experiment])
    run = begin_run(store, one, one.jobs[0], started_s=result.started_s)
    for (step, metrics), at_s in zip(result.history, result.times_s, strict=True):
        run.log_metrics(step, metrics, at_s)
    for event in end_run(run, store, planned, prepared, result, is_alone=is_alone, last_tags={}):
        stored = only(store)
        assert (stored.info.status, event.metrics) == ("RUNNING", stored.data.metrics)
    run.flush()
    return outcome_of(planned, run.run_id, result, prepared)


def artifacts(store: Store) -> set[str]:
    return {file.path for file in store.client.list_artifacts(only(store).info.run_id)}


def listed(one: Task) -> TaskJob:
    """Return the job of a task, listed under a group."""
    return replace(one.jobs[0], parent_run_id="p" * 32)


def test_a_begun_run_is_running_with_all_that_is_known_by_then(opened: Store) -> None:
    made = plan({"seed": 3})
    one = task(opened, made, sweep_id="s" * 32)
    begun = begin_run(opened, one, listed(one), started_s=1e9)
    run = only(opened)
    assert (run.info.run_id, run.info.status, run.info.run_name) == (
        begun.run_id, "RUNNING", "seed=3"
    )  # fmt: skip
    assert run.info.start_time == 10**12
    tags = run.data.tags
    assert json.loads(tags["runner.varied"]) == {"seed": "3"}
    assert (tags["runner.sweep"], tags["mlflow.parentRunId"]) == ("s" * 32, "p" * 32)
    assert (tags["runner.kind"], tags["runner.key"]) == ("run", made.jobs[0].key)
    begun.kill()


def test_a_run_of_its_own_has_neither_sweep_nor_parent(opened: Store) -> None:
    begin(opened).finish()
    assert not {"runner.sweep", "mlflow.parentRunId"} & set(only(opened).data.tags)


def test_a_finished_run_has_its_config_metrics_weights_and_digests(opened: Store) -> None:
    outcome = record(opened)
    run = only(opened)
    assert run.info.status == outcome.status == "FINISHED"
    assert run.info.run_id == outcome.run_id
    assert artifacts(opened) == {
        *("config.json", "config.yaml", "environment.json", "model.json", "weights.npz")
    }
    assert {"train/loss", "val/accuracy", "test/accuracy"} <= set(run.data.metrics)
    assert run.data.metrics == outcome.metrics
    history = opened.client.get_metric_history(run.info.run_id, "val/loss")
    assert [entry.step for entry in history] == list(range(5, 61, 5))
    assert run.data.params["optimizer.learning_rate"] == "0.5"
    for tag in (
        "kind",
        "key",
        "varied",
        "data_digest",
        "split_digest",
        "weights_sha256",
        "schema",
        "record",
    ):
        assert f"runner.{tag}" in run.data.tags
    assert {tag.value for each in run.inputs.dataset_inputs for tag in each.tags} == {
        "train", "val", "test"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("figures", "model"), [(True, True), (False, True), (True, False), (False, False)]
)
def test_a_run_alone_has_the_figures_and_the_model_that_are_wanted(
    opened: Store, figures: bool, model: bool
) -> None:
    record(opened, is_alone=True, tracking__figures=figures, tracking__model=model)
    assert ("figures" in artifacts(opened)) == figures
    assert len(only(opened).outputs.model_outputs) == model


def test_the_best_metrics_stand_at_the_best_step(opened: Store) -> None:
    outcome = record(opened, training__early_stopping=STOPPING, training__steps=2000)
    assert outcome.n_steps is not None
    assert outcome.n_steps < 2000
    (best,) = opened.client.get_metric_history(outcome.run_id, "best/val/loss")
    assert best.step == outcome.metrics["best/step"]
    assert best.value == outcome.metrics["val/loss"]
    (test,) = opened.client.get_metric_history(outcome.run_id, "test/loss")
    assert test.step == outcome.n_steps


def test_a_diverged_run_is_failed_with_its_reason(opened: Store) -> None:
    outcome = record(opened, optimizer__learning_rate=1e200, is_alone=True)
    assert status(opened) == ("FAILED", "norm of the parameters is not finite at step 5")
    assert (outcome.status, outcome.failure) == status(opened)
    assert "weights.npz" in artifacts(opened)
    assert "figures" not in artifacts(opened)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), ("KILLED", "interrupted")),
        (Terminated(), ("KILLED", "interrupted")),
        (GeneratorExit(), ("KILLED", "interrupted")),
        (MemoryError("no room"), ("FAILED", "MemoryError: no room")),
        (StoreError("/there: cannot be written"), ("FAILED", "/there: cannot be written")),
    ],
    ids=repr,
)
def test_what_ends_a_run_is_what_it_says(
    opened: Store, error: BaseException, expected: tuple[str, str | None]
) -> None:
    close_run(begin(opened), error)
    assert status(opened) == expected


def test_a_job_that_could_not_be_trained_is_a_failed_run(opened: Store) -> None:
    reason = str(DataError("rows.csv: line 3: no number"))
    one = task(opened, plan({"seed": 3}))
    outcome = record_failure(opened, one, listed(one), reason).outcome
    assert outcome is not None
    assert status(opened) == ("FAILED", reason)
    assert (only(opened).info.run_name, only(opened).info.run_id) == ("seed=3", outcome.run_id)
    assert only(opened).data.tags["mlflow.parentRunId"] == "p" * 32


def test_a_scratch_disk_of_no_use_is_said_with_its_place(
    opened: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StoreError, match=r"gone.*: cannot be written: no such file"):
        record(opened, is_alone=True)
    assert status(opened)[0] != "FINISHED"


def test_a_scratch_folder_is_gone_afterwards() -> None:
    with scratch_folder() as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()


def test_an_interrupt_after_the_end_leaves_a_finished_run_finished(opened: Store) -> None:
    run: Any = opened.start_run("a run", {}, {})
    run.finish()
    run.kill()
    run.fail("too late")
    assert status(opened) == ("FINISHED", None)
