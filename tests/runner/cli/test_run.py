"""Composed jobs from the command line: what is refused before there is a store, and dry runs."""

from pathlib import Path

import pytest

from runner.cli.run import run_jobs
from runner.system.errors import ConfigError, DataError
from tests.runner.jobs.planned import job


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


def test_a_dry_run_prints_the_plan_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    jobs = [job(sweep__dry_run=True, seed=seed) for seed in (1, 2, 2)]
    assert run_jobs(jobs, is_sweep=True) == 0
    printed = capsys.readouterr().out
    assert "2 jobs" in printed
    assert "1 point is given again" in printed
    assert list(tmp_path.iterdir()) == []
