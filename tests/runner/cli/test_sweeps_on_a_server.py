"""A sweep whose runs go to a real MLflow server, over HTTP on this machine."""

import re
from pathlib import Path

import pytest

from tests.runner.conftest import Command
from tests.runner.tracking.conftest import free_port, server

__all__ = ["free_port", "server"]  # pytest finds fixtures by their names here

SWEEP = ["-m", "training.steps=200", "optimizer.learning_rate=0.01,0.04", "seed=0,1"]


def test_sweep_is_recorded_on_a_server_and_found_there_again(
    command: Command, checkout: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    import mlflow

    first, again = (command(*SWEEP, MLFLOW_TRACKING_URI=server) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "is complete: 4 jobs." in again.stderr
    assert list(checkout.glob("outputs/sweeps/*/plan/plan.jsonl"))
    assert re.search(rf"{server}/#/experiments/\d+", first.stdout)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    client = mlflow.MlflowClient(server)
    (experiment,) = [e for e in client.search_experiments() if e.name == "tutorial"]
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    by_kind = {
        kind: [run for run in runs if run.data.tags["runner.kind"] == kind]
        for kind in ("sweep", "group", "run")
    }
    assert [len(found) for found in by_kind.values()] == [1, 2, 4]
    (parent,) = by_kind["sweep"]
    left = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert {"plan", "results.csv", "results.parquet", "figures", "best.yaml"} <= left
    for group in by_kind["group"]:
        assert group.data.metrics["val/loss/n"] == 2
        assert group.data.tags["mlflow.parentRunId"] == parent.info.run_id
    model = mlflow.pyfunc.load_model(f"runs:/{parent.info.run_id}/model", suppress_warnings=True)
    rows = {f"feature_{column}": [0.0, 1.0] for column in (1, 2, 3, 4)}
    assert model.predict(rows).to_numpy().sum(axis=1) == pytest.approx([1.0, 1.0])
