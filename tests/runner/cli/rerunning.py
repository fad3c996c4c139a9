"""Reruns by the real command: what it is to repeat is made quickly, what it says is read."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

from runner.tracking.records import Original, write_folder
from runner.tracking.records.mlflow_record import find_original
from tests.runner.cli.sweeping import Recorded, recorded
from tests.runner.conftest import CHECKOUT, Command

VERDICTS = ("IDENTICAL", "CLOSE", "DIFFERENT", "CANNOT COMPARE")
# Two hidden layers, one of them wide enough for every kernel to take its own way, and few steps.
NETWORK = ("data=moons", "model.hidden_layer_sizes=[24,16]", "training.steps=60")
QUICK = ("training.steps=40", "training.evaluate_every=20")

Ended = subprocess.CompletedProcess[str]


def verdict(ended: Ended) -> str:
    """Return the verdict of a single run's rerun, or what the command said instead."""
    first = ended.stdout.partition("\n")[0]
    found = [verdict for verdict in VERDICTS if first.endswith(verdict)]
    return found[0] if found else ended.stdout + ended.stderr


def causes(ended: Ended) -> str:
    """Return what was given as the cause of a difference."""
    found = re.search(r"Cause: (.*)\.\n|is the cause|be the cause \((.*)\)", ended.stdout)
    return next((group for group in found.groups() if group), "") if found else ""


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
    ended = command(*arguments)
    runs = new_runs(command, before)
    assert len(runs) == 1, ended.stderr
    return runs[0]


def sweep(command: Command, *arguments: str) -> tuple[Recorded, list[Recorded]]:
    """Run a sweep, and return its run and those of its jobs in order of their beginning."""
    before = recorded(command)
    ended = command("-m", *arguments)
    assert ended.returncode in {0, 1}, ended.stderr
    runs = new_runs(command, before)
    (parent,) = [run for run in runs if run.kind == "sweep"]
    return parent, [run for run in runs if run.is_job]


def export(command: Command, run: Recorded, folder: Path) -> Path:
    """Export a run, in this process, since a new one would take seconds."""
    uri = command.environment["MLFLOW_TRACKING_URI"]
    write_folder(Original.read(find_original(uri, run.run_id)), folder)
    return folder


def start_anywhere(
    arguments: list[str], folder: Path, environment: Mapping[str, str], stack_kb: int | None = None
) -> Ended:
    """Run the command to its end in any folder, with just these variables."""
    shell = [] if stack_kb is None else ["sh", "-c", f'ulimit -s {stack_kb}; exec "$@"', "sh"]
    return subprocess.run(
        [*shell, sys.executable, "-m", "runner", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
        check=False,
    )


def rerun_folder(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Repeat an exported run, with more variables in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "HYDRA_"))}
    environment = kept | {"PYTHONPATH": str(CHECKOUT)} | variables
    return start_anywhere(["rerun", str(folder), *arguments], folder.parent, environment)


def moved(command: Command, to: Path) -> Command:
    """Copy a store with its artifacts, for one test to change."""
    places = [to / name for name in ("here", "store", "scratch")]
    places[0].mkdir(parents=True)
    places[2].mkdir()
    shutil.copytree(command.store, places[1])
    copy = Command(*places)
    for column in ("experiments.artifact_location", "runs.artifact_uri"):
        table, name = column.split(".")
        statement = f"UPDATE {table} SET {name} = replace({name}, ?, ?)"  # noqa: S608  (our words)
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
