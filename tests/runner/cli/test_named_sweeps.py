"""A sweep with a name is all that was ever asked of it, from whichever command."""

import csv
from dataclasses import dataclass

import pytest

from tests.runner.cli.instants import SHOWN_AT_ONCE
from tests.runner.cli.sweeping import (
    BARE,
    Recorded,
    count,
    end,
    of_kind,
    recorded,
    start,
    table,
    until,
)
from tests.runner.conftest import Command, Ended

NAMED = ["-m", "training.steps=200", "sweep.name=grows", *BARE]


@dataclass(frozen=True)
class Step:
    """What one command said, what was shown after it, and what the store had then."""

    ended: Ended
    shown: Ended
    csv: str
    runs: list[Recorded]

    @property
    def parent(self) -> Recorded:
        (parent,) = of_kind("sweep", self.runs)
        return parent


def step(command: Command, *points: str) -> Step:
    ended = command(*NAMED, *points)
    as_csv = command("show", "grows", "--csv").stdout
    return Step(ended, command("show", "grows"), as_csv, recorded(command))


@pytest.fixture(scope="module")
def steps(shared: Command) -> list[Step]:
    """Seeds, then other seeds, then another learning rate, then the first command again."""
    return [
        step(shared, "seed=0,1"),
        step(shared, "seed=2,3,4"),
        step(shared, "seed=0,1", "optimizer.learning_rate=0.01"),
        step(shared, "seed=0,1"),
    ]


def test_report_and_group_of_new_seeds_are_those_of_all(steps: list[Step]):
    _, second, *_ = steps
    assert "grows: 5 jobs, 2 done, 3 to run." in second.ended.stderr
    assert "5 runs of 1 configuration" in second.ended.stdout
    assert table(second.ended) == table(second.shown)
    (group,) = of_kind("group", second.runs)
    assert (group.status, group.metrics["val/loss/n", 0]) == ("FINISHED", 5)
    assert {run.parent for run in of_kind("run", second.runs)} == {group.run_id}


def test_parent_counts_and_ranks_all_jobs(steps: list[Step]):
    parent = steps[1].parent
    assert parent.status == "FINISHED"
    assert parent.tags["runner.n_jobs"] == "5"
    assert parent.tags["runner.n_finished"] == "5"
    losses = {r.run_id: r.metrics["val/loss", 200] for r in of_kind("run", steps[1].runs)}
    assert parent.tags["runner.best_run"] == min(losses, key=losses.__getitem__)


def test_a_setting_that_varies_from_now_on_is_reported_of_all_jobs(
    steps: list[Step], shared: Command
):
    third = steps[2]
    assert "7 runs of 2 configurations" in third.ended.stdout
    assert table(third.ended) == table(third.shown)
    rows = list(csv.DictReader(third.csv.splitlines()))
    found = sorted((row["optimizer.learning_rate"], row["seed"]) for row in rows)
    assert found == [("0.01", s) for s in "01"] + [("0.04", s) for s in "01234"]
    groups = of_kind("group", third.runs)
    assert sorted(run.metrics["val/loss/n", 0] for run in groups) == [2, 5]
    (file,) = shared.store.glob(f"artifacts/*/{third.parent.run_id}/artifacts/results.csv")
    results = list(csv.DictReader(file.read_text().splitlines()))
    assert {row["run_id"] for row in results} == {run.run_id for run in of_kind("run", third.runs)}
    assert {row["status"] for row in results} == {"FINISHED"}


def test_an_earlier_command_again_runs_nothing_and_reports_all(steps: list[Step]):
    assert "grows is complete: 7 jobs." in steps[3].ended.stderr
    assert steps[3].runs == steps[2].runs
    assert table(steps[3].ended) == table(steps[2].ended)


def test_seed_that_stood_alone_joins_the_group_it_gets(sweeper: Command):
    step(sweeper, "seed=0", "optimizer.learning_rate=0.01,0.04")
    after = step(sweeper, "seed=1", "optimizer.learning_rate=4e-2")
    (group,) = of_kind("group", after.runs)
    assert group.metrics["val/loss/n", 0] == 2
    assert sum(run.parent == group.run_id for run in of_kind("run", after.runs)) == 2


def test_what_an_earlier_command_did_not_reach_is_counted_and_left(sweeper: Command):
    long = [*NAMED, "seed=0,1", "training.steps=1000000000", "training.evaluate_every=1000"]
    process = start(sweeper, *long, before=SHOWN_AT_ONCE)
    until(process, lambda: count(sweeper, "RUNNING") == 2)
    process.terminate()
    end(process)
    after = step(sweeper, "seed=0,1")
    assert after.ended.returncode == 0
    assert "grows: 4 jobs, 0 done, 2 of an earlier command left, 2 to run." in after.ended.stderr
    assert "2 of 4 jobs have no result yet" in after.ended.stdout
    assert count(sweeper, "FINISHED") == 2


def test_a_beginning_must_be_of_one_sweep(sweeper: Command):
    for name in ("one", "onion"):
        ended = sweeper("-m", f"sweep.name={name}", "training.steps=20", "seed=0,1")
        assert ended.returncode == 0, ended.stderr
    assert sweeper("show", "one").stdout.startswith("one\n")
    assert sweeper("show", "oni").stdout.startswith("onion\n")
    ended = sweeper("show", "on")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == ("RUN: must be one run, got 'on', with which 2 begin (one, onion).\n")


def test_the_top_configurations_as_csv_are_all_runs_of_theirs(sweeper: Command):
    rates = "optimizer.learning_rate=0.01,0.04,0.16"
    assert sweeper("-m", "training.steps=200", rates, "seed=0,1,2").returncode == 0
    best = sweeper("show", "--top", "1").stdout.splitlines()[4].split()[1]
    rows = list(csv.DictReader(sweeper("show", "--top", "1", "--csv").stdout.splitlines()))
    assert [row["optimizer.learning_rate"] for row in rows] == [best] * 3
    losses = [float(row["val/loss"]) for row in rows]
    assert losses == sorted(losses)
