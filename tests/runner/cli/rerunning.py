"""Reruns: runs to repeat are made, what the command says is read, and records are changed."""

import os
import shutil
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

from runner.tracking.records import Record, write_folder
from runner.tracking.records.mlflow_record import find_run
from tests.runner.cli.sweeping import BARE, Recorded, recorded
from tests.runner.conftest import Command, Ended, run_here

VERDICTS = ("IDENTICAL", "CLOSE", "DIFFERENT", "CANNOT COMPARE")


def verdict(ended: Ended) -> str:
    """Return the verdict of a single run's rerun, or what the command said instead."""
    first = ended.stdout.partition("\n")[0]
    found = [verdict for verdict in VERDICTS if first.endswith(verdict)]
    return found[0] if found else ended.stdout + ended.stderr


def differing(ended: Ended) -> list[str]:
    """Return the rows of what differs between the two environments and decides bits."""
    rows = ended.stdout.partition("what differs")[2].splitlines()[1:]
    return [row for row in rows if row.endswith(" yes")]


def new_runs(command: Command, before: list[Recorded]) -> list[Recorded]:
    """Read the runs that were not there before."""
    known = {run.run_id for run in before}
    return [run for run in recorded(command) if run.run_id not in known]


def record(command: Command, *arguments: str) -> Recorded:
    """Run one job, and return its run, whatever became of it."""
    before = recorded(command)
    ended = command(*arguments, *BARE)
    runs = new_runs(command, before)
    assert len(runs) == 1, ended.stderr
    return runs[0]


def sweep(command: Command, *arguments: str) -> tuple[Recorded, list[Recorded]]:
    """Run a sweep, and return its run and those of its jobs in order of their beginning."""
    before = recorded(command)
    ended = command("-m", *arguments, *BARE)
    assert ended.returncode in {0, 1}, ended.stderr
    runs = new_runs(command, before)
    (parent,) = [run for run in runs if run.kind == "sweep"]
    return parent, [run for run in runs if run.is_job]


def export(command: Command, run: Recorded, folder: Path) -> Path:
    """Export a run."""
    uri = command.environment["MLFLOW_TRACKING_URI"]
    write_folder(Record.read(find_run(uri, run.run_id)), folder)
    return folder


def rerun_folder(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Repeat an exported run, with more variables in its environment."""
    return run_here(["rerun", str(folder), *arguments], folder.parent, {**os.environ, **variables})


def moved(command: Command, to: Path) -> Command:
    """Copy a store with its artifacts, for one test to change."""
    copy = Command.within(to)
    shutil.copytree(command.store, copy.store, dirs_exist_ok=True)
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        statement = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608  (our words)
        execute(copy, statement, str(command.store), str(copy.store))
    return copy


def artifacts(command: Command, run: Recorded) -> Path:
    """Return the folder of a run's artifacts in a store that may be a copy."""
    (folder,) = command.store.glob(f"artifacts/*/{run.run_id}/artifacts")
    return folder


def execute(command: Command, statement: str, *values: object) -> int:
    """Change the database behind MLflow's back, and return how many rows that met."""
    with closing(connect(command.store / "mlflow.db")) as connection:
        met = connection.execute(statement, values).rowcount
        connection.commit()
    return met
