"""The jobs of one command: what is checked first, what goes on, what is said."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from runner.jobs.alone import run_jobs

import runner.jobs.worker.stack_run
from runner.system.errors import ConfigError, DataError, StoreError, Terminated
from tests.runner.jobs.planned import MISSING, job

# pytest-xdist has a thread of its own, which holds no lock that a worker needs.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
]


def runs_in(store: Path, kind: str = "run") -> dict[str, str]:
    client = MlflowClient(f"sqlite:///{store}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(ids, f"tags.`runner.kind` = '{kind}'")
    return {run.info.run_name or "": run.info.status for run in found}


def test_a_job_alone_is_a_run_of_its_own(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outcome,) = run_jobs([job(seed=3)], is_sweep=False)
    assert (outcome.status, outcome.name, outcome.varied) == ("FINISHED", "seed=3", {"seed": "3"})
    assert runs_in(store) == {"seed=3": "FINISHED"}
    assert runs_in(store, "sweep") == {}
    printed = capsys.readouterr().out
    assert "seed=3" in printed
    assert "runner ui" in printed
    client = MlflowClient(f"sqlite:///{store}")
    assert "figures" in {file.path for file in client.list_artifacts(outcome.run_id)}


def test_a_sweep_of_one_job_is_a_sweep(store: Path) -> None:
    (outcome,) = run_jobs([job(seed=3)], is_sweep=True)
    assert outcome.status == "FINISHED"
    assert runs_in(store) == {"seed=3": "FINISHED"}
    assert list(runs_in(store, "sweep").values()) == ["FINISHED"]


def test_a_job_with_bad_data_costs_itself_alone(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [job(seed=1, data=MISSING), job(seed=2)]
    outcomes = run_jobs(jobs, is_sweep=True)
    assert [outcome.status for outcome in outcomes] == ["FAILED", "FINISHED"]
    assert sorted(runs_in(store).values()) == ["FAILED", "FINISHED"]
    assert "data.path: must be a file, got '/nowhere/none.csv'" in capsys.readouterr().out


def test_a_job_alone_that_cannot_run_is_an_error_and_leaves_nothing(store: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.batch_size: must be at most 40"):
        run_jobs([job(training__batch_size=99)], is_sweep=False)
    assert runs_in(store) == {}


@pytest.mark.parametrize("is_sweep", [False, True])
def test_where_no_job_can_run_no_store_is_made(
    is_sweep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    absent = {"name": "file", "path": str(tmp_path / "none.csv"), "target": "y"}
    jobs = [job(seed=seed, data=absent) for seed in range(1 + is_sweep)]
    with pytest.raises((ConfigError, DataError), match=r"none\.csv"):
        run_jobs(jobs, is_sweep=is_sweep)
    assert list(tmp_path.iterdir()) == []


def test_one_illegal_job_is_said_before_any_starts(store: Path) -> None:
    jobs = [job(seed=0), job(optimizer__learning_rate=-1.0)]
    with pytest.raises(ConfigError, match="Nothing was run: job 2 of 2 is optimizer"):
        run_jobs(jobs, is_sweep=True)
    assert runs_in(store) == runs_in(store, "sweep") == {}


@pytest.mark.parametrize("is_sweep", [False, True])
def test_a_store_that_is_not_there_ends_the_command_before_it_begins(is_sweep: bool) -> None:
    jobs = [job(seed=seed, tracking__uri="http://127.0.0.1:9") for seed in range(1 + is_sweep)]
    with pytest.raises(ConfigError, match="no MLflow server answers"):
        run_jobs(jobs, is_sweep=is_sweep)


def test_a_dry_run_prints_the_plan_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    jobs = [job(sweep__dry_run=True, seed=seed) for seed in (1, 2, 2)]
    assert run_jobs(jobs, is_sweep=True) == []
    printed = capsys.readouterr().out
    assert "2 jobs" in printed
    assert "1 point is given again" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["StackTraining.__iter__", "end_run"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), "KILLED"),
        (Terminated(), "KILLED"),
        (MemoryError("no room"), "FAILED"),
        (StoreError("/there: cannot be written"), "FAILED"),
    ],
    ids=repr,
)
def test_what_ends_a_run_alone_is_told_and_recorded(
    stage: str,
    error: BaseException,
    expected: str,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"{runner.jobs.worker.stack_run.__name__}.{stage}", fault)
    with pytest.raises(type(error)):
        run_jobs([job(seed=3)], is_sweep=False)
    assert runs_in(store) == {"seed=3": expected}
    # What was interrupted is in the table; an error speaks for itself.
    assert ("KILLED" in capsys.readouterr().out) is (expected == "KILLED")
