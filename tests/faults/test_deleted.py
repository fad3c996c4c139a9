"""What somebody deletes in MLflow's pages, or with `mlflow gc`, the same command makes again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from sqlite3 import connect

import pytest

from tests.faults.conftest import Survive
from tests.runner.cli.sweeping import BARE, Recorded, of_kind, recorded
from tests.runner.conftest import Command

SWEEP = ["-m", "seed=0,1", "optimizer.learning_rate=0.1,0.2", "sweep.n_workers=1"]
SWEEP += ["training.steps=20", "training.evaluate_every=10", *BARE]
Delete = Callable[[Command, Recorded], None]
TABLES = ("tags", "params", "metrics", "latest_metrics", "runs")


def change(command: Command, *statements: tuple[str, tuple[str, ...]]) -> None:
    with closing(connect(command.store / "mlflow.db")) as connection, connection:
        for statement, values in statements:
            connection.execute(statement, values)


def in_the_pages(command: Command, run: Recorded) -> None:
    where = "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?"
    change(command, (where, (run.run_id,)))


def for_good(command: Command, run: Recorded) -> None:
    change(
        command,
        *((f"DELETE FROM {table} WHERE run_uuid = ?", (run.run_id,)) for table in TABLES),  # noqa: S608  (words of ours)
    )
    files(command, run)


def files(command: Command, run: Recorded) -> None:
    (folder,) = command.store.glob(f"artifacts/*/{run.run_id}")
    shutil.rmtree(folder)


def left(command: Command) -> list[Recorded]:
    """Return the runs that nobody has deleted."""
    query = "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active'"
    with closing(connect(command.store / "mlflow.db")) as connection:
        ids = {run_id for (run_id,) in connection.execute(query)}
    return [run for run in recorded(command) if run.run_id in ids]


@pytest.mark.parametrize(
    ("kind", "delete"),
    [
        *((kind, delete) for kind in ("group", "run") for delete in (in_the_pages, for_good)),
        ("sweep", files),
        ("sweep", in_the_pages),
    ],
)
def test_what_was_deleted_is_made_again(
    kind: str, delete: Delete, sweeper: Command, survive: Survive
) -> None:
    survive("deletions")
    assert sweeper(*SWEEP).returncode == 0
    chosen = of_kind(kind, recorded(sweeper))[0]
    if kind == "group":  # a group's own artifacts folder is made when it has any
        (sweeper.store / "artifacts" / "tutorial" / chosen.run_id).mkdir(exist_ok=True)
    delete(sweeper, chosen)
    ended = sweeper(*SWEEP)
    assert ended.returncode == 0, ended.stderr
    runs = left(sweeper)
    (parent,) = of_kind("sweep", runs)
    groups = of_kind("group", runs)
    jobs = [run for run in of_kind("run", runs) if run.tags["runner.sweep"] == parent.run_id]
    assert {run.status for run in (parent, *groups, *jobs)} == {"FINISHED"}
    assert len({run.key for run in jobs}) == len(jobs) == 4
    assert {run.parent for run in jobs} <= {group.run_id for group in groups}
    assert list(sweeper.store.glob(f"artifacts/*/{parent.run_id}/artifacts/results.csv"))


def test_of_a_deleted_experiment_a_dry_run_says_what_the_command_says(
    sweeper: Command, survive: Survive
) -> None:
    survive("deletions")
    assert sweeper(*SWEEP).returncode == 0
    where = "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = ?"
    change(sweeper, (where, ("tutorial",)))
    ends = [sweeper(*SWEEP), sweeper(*SWEEP, "--dry-run")]
    assert [ended.returncode for ended in ends] == [3, 3]
    assert ends[0].stderr == ends[1].stderr
    assert "was deleted. Bring it back with" in ends[0].stderr
