"""The jobs of one command: what is checked first, what goes on, what is said."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from runner.compose import Job
from runner.config import Experiment
from runner.errors import ConfigError, DataError
from runner.session import run_jobs, run_name
from tests.runner.test_execute import CONFIG


def job(*overrides: str, **sections: dict[str, Any]) -> Job:
    """A short job; sections replace those of the config in part."""
    config = {
        key: {**value, **sections.get(key, {})} if isinstance(value, dict) else value
        for key, value in CONFIG.items()
    }
    return Job(config, overrides)


def runs_in(store: Path) -> dict[str, str]:
    client = MlflowClient(f"sqlite:///{store}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name or "": run.info.status for run in client.search_runs(ids)}


def test_a_job_with_bad_data_costs_itself_alone(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [
        job("training.batch_size=99", training={"batch_size": 99}),
        job("training.batch_size=5", training={"batch_size": 5}),
    ]
    outcomes = run_jobs(jobs)
    assert [outcome.status for outcome in outcomes] == ["FAILED", "FINISHED"]
    assert runs_in(store) == {"batch_size=5": "FINISHED"}
    assert "training.batch_size: must be at most 40" in capsys.readouterr().out


def test_a_sweep_in_which_no_job_can_run_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    absent = {"name": "file", "path": str(tmp_path / "none.csv"), "target": "y"}
    jobs = [job(f"seed={seed}") for seed in (0, 1)]
    for one in jobs:
        one.config["data"] = absent
    with pytest.raises((ConfigError, DataError), match=r"none\.csv"):
        run_jobs(jobs)
    assert list(tmp_path.iterdir()) == []


def test_one_illegal_job_is_said_before_any_starts(store: Path) -> None:
    jobs = [job("seed=0"), job("x=1", optimizer={"learning_rate": -1.0})]
    with pytest.raises(ConfigError, match="Nothing was run: job 2 of 2 is x=1"):
        run_jobs(jobs)
    assert runs_in(store) == {}


def test_a_store_that_is_not_there_ends_the_sweep_before_it_begins() -> None:
    away = {"uri": "http://127.0.0.1:9"}
    jobs = [job(f"seed={seed}") for seed in (0, 1)]
    for one in jobs:
        one.config["tracking"] = away
    with pytest.raises(ConfigError, match="no MLflow server answers"):
        run_jobs(jobs)


def test_runs_are_named_by_what_varies() -> None:
    experiment = Experiment.from_dict(CONFIG)
    assert run_name(experiment, {}) == "test"
    assert run_name(experiment, {"optimizer.learning_rate": "0.1", "seed": "3"}) == (
        "learning_rate=0.1 seed=3"
    )
    assert run_name(experiment, {"split.seed": "1", "seed": "3"}) == "split.seed=1 seed=3"
    assert run_name(experiment, {"experiment": "iris", "seed": "3"}) == "iris seed=3"
