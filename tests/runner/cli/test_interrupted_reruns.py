"""Reruns that are interrupted say what was compared by then."""

import os
import signal
from contextlib import closing
from pathlib import Path
from sqlite3 import OperationalError, connect

import pytest

from tests.runner.cli.rerunning import moved, record, sweep
from tests.runner.cli.sweeping import Recorded, count, end, jobs, of_kind, recorded, start, until
from tests.runner.conftest import Command


def n_links(command: Command) -> int:
    """Count the reruns that their originals name: those that have been heard of."""
    query = "SELECT count(*) FROM tags WHERE key LIKE 'runner.rerun.%'"
    with closing(connect(f"file:{command.store / 'mlflow.db'}?mode=ro", uri=True)) as connection:
        try:
            (number,) = connection.execute(query).fetchone()
        except OperationalError:  # somebody is writing
            return 0
    return int(number)


@pytest.fixture(scope="module")
def swept(shared: Command) -> tuple[Recorded, list[Recorded]]:
    # The long one is at work for seconds when the short one has been compared.
    points = ["training.steps=40,100000", "training.evaluate_every=10000", "sweep.n_workers=2"]
    return sweep(shared, *points)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_says_what_was_compared_by_then(
    number: int,
    code: int,
    shared: Command,
    swept: tuple[Recorded, list[Recorded]],
    tmp_path: Path,
):
    parent, originals = swept
    sweeper = moved(shared, tmp_path)
    before = {run.run_id: run.bits for run in originals}
    process = start(sweeper, "rerun", parent.run_id)
    until(process, lambda: n_links(sweeper) == 1)
    os.killpg(process.pid, number)
    ended = end(process)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert "1 of 2 identical, 1 not run\n" in ended.stdout
    assert "Interrupted: 1 of 2 jobs were compared." in ended.stdout
    runs = recorded(sweeper)
    assert {run.run_id: run.bits for run in runs if run.run_id in before} == before
    (rerun,) = of_kind("rerun", runs)
    assert rerun.status == "KILLED"
    assert f"run {rerun.run_id}, a rerun of {parent.run_id}" in ended.stdout
    (done,) = [run for run in runs if "runner.verdict" in run.tags and run.is_job]
    (original,) = [run for run in runs if run.run_id == done.tags["runner.rerun_of"]]
    assert original.tags[f"runner.rerun.{done.run_id}"] == "IDENTICAL"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_of_its_own_is_killed_and_says_that_nothing_was_compared(
    number: int, code: int, sweeper: Command
):
    original = record(sweeper, "training.steps=40")
    process = start(sweeper, "rerun", original.run_id, "training.steps=1000000000")
    until(process, lambda: count(sweeper, "RUNNING") == 1)
    os.killpg(process.pid, number)
    ended = end(process)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert "Interrupted before anything was compared. What is on record is as it was.\n" in (
        ended.stderr
    )
    assert "Traceback" not in ended.stderr
    (killed,) = jobs(sweeper, "KILLED")
    assert killed.tags["runner.rerun_of"] == original.run_id
    assert count(sweeper, "RUNNING") == 0
