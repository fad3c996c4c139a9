"""A sweep with a name is all that was ever asked of it, from whichever command."""

import csv
import subprocess
from dataclasses import dataclass

import pytest

from tests.runner.cli.sweeping import Recorded, count, end, of_kind, recorded, start, table, until
from tests.runner.conftest import Command

NAMED = ["-m", "training.steps=200", "sweep.name=grows"]


@dataclass(frozen=True)
class Step:
    """What one command said, what was shown after it, and what the store had then."""

    ended: subprocess.CompletedProcess[str]
    shown: subprocess.CompletedProcess[str]
    csv: str
    runs: list[Recorded]

    @property
    def parent(self) -> Recorded:
        (parent,) = of_kind("sweep", self.runs)
        return parent

    def names(self, kind: str) -> list[str]:
        return sorted(run.name for run in of_kind(kind, self.runs))


def taken(command: Command, *points: str) -> Step:
    ended = command(*NAMED, *points)
    assert "Traceback" not in ended.stderr
    shown, as_csv = command("show", "grows"), command("show", "grows", "--csv")
    return Step(ended, shown, as_csv.stdout, recorded(command))


@pytest.fixture(scope="module")
def steps(shared: Command) -> list[Step]:
    """Seeds, then other seeds, then another learning rate, then the first command again."""
    return [
        taken(shared, "seed=0,1"),
        taken(shared, "seed=2,3,4"),
        taken(shared, "seed=0,1", "optimizer.learning_rate=0.01"),
        taken(shared, "seed=0,1"),
    ]


def results(step: Step, command: Command) -> list[dict[str, str]]:
    folder = command.store / "artifacts" / "tutorial" / step.parent.run_id / "artifacts"
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_report_of_new_seeds_is_that_of_all(steps: list[Step]):
    assert "grows: 5 jobs, 2 done, 3 to run." in steps[1].ended.stderr
    assert "5 runs of 1 configuration" in steps[1].ended.stdout
    assert table(steps[1].ended) == table(steps[1].shown)


def test_group_of_new_seeds_is_that_of_all(steps: list[Step]):
    (group,) = of_kind("group", steps[1].runs)
    assert (group.status, group.metrics["val/loss/n", 0]) == ("FINISHED", 5)
    assert {run.parent for run in of_kind("run", steps[1].runs)} == {group.run_id}


def test_parent_counts_and_ranks_all_jobs(steps: list[Step]):
    parent = steps[1].parent
    assert parent.status == "FINISHED"
    assert parent.tags["runner.n_jobs"] == "5"
    assert parent.metrics["n_finished", 0] == 5
    losses = {r.run_id: r.metrics["val/loss", 200] for r in of_kind("run", steps[1].runs)}
    assert parent.tags["runner.best_run"] == min(losses, key=losses.__getitem__)


def test_a_setting_that_varies_from_now_on_is_said_of_all_jobs(steps: list[Step]):
    assert steps[2].names("group") == ["learning_rate=0.01", "learning_rate=0.04"]
    assert steps[2].names("run") == [
        *(f"learning_rate=0.01 seed={seed}" for seed in (0, 1)),
        *(f"learning_rate=0.04 seed={seed}" for seed in range(5)),
    ]
    assert "7 runs of 2 configurations" in steps[2].ended.stdout
    assert table(steps[2].ended) == table(steps[2].shown)
    rows = list(csv.DictReader(steps[2].csv.splitlines()))
    found = sorted((row["optimizer.learning_rate"], row["seed"]) for row in rows)
    assert found == [("0.01", s) for s in "01"] + [("0.04", s) for s in "01234"]


def test_groups_of_all_settings_hold_their_seeds(steps: list[Step]):
    numbers = {run.name: run.metrics["val/loss/n", 0] for run in of_kind("group", steps[2].runs)}
    assert numbers == {"learning_rate=0.01": 2, "learning_rate=0.04": 5}


def test_results_on_the_parent_are_those_of_all_jobs(steps: list[Step], shared: Command):
    rows = results(steps[3], shared)
    assert sorted(row["name"] for row in rows) == steps[3].names("run")
    assert all(row["status"] == "FINISHED" for row in rows)


def test_an_earlier_command_again_runs_nothing_and_reports_all(steps: list[Step]):
    assert "grows is complete: 7 jobs." in steps[3].ended.stderr
    assert steps[3].runs == steps[2].runs
    assert table(steps[3].ended) == table(steps[2].ended)


def test_seed_that_stood_alone_joins_the_group_it_gets(sweeper: Command):
    taken(sweeper, "seed=0", "optimizer.learning_rate=0.01,0.04")
    after = taken(sweeper, "seed=1", "optimizer.learning_rate=4e-2")
    (group,) = of_kind("group", after.runs)
    assert (group.name, group.metrics["val/loss/n", 0]) == ("learning_rate=0.04", 2)
    assert sorted(r.name for r in of_kind("run", after.runs) if r.parent == group.run_id) == [
        "learning_rate=0.04 seed=0",
        "learning_rate=0.04 seed=1",
    ]


def test_what_an_earlier_command_did_not_reach_is_counted_and_left(sweeper: Command):
    long = [*NAMED, "seed=0,1", "training.steps=1000000000", "training.evaluate_every=1000"]
    process = start(sweeper, *long, constants={"_SHOWN_AFTER_S": 0.0})
    until(process, lambda: count(sweeper, "RUNNING") == 2)
    process.terminate()
    end(process)
    after = taken(sweeper, "seed=0,1")
    assert after.ended.returncode == 0
    assert "grows: 4 jobs, 0 done, 2 of an earlier command left, 2 to run." in after.ended.stderr
    assert "2 of 4 jobs have not run" in after.ended.stdout
    assert count(sweeper, "FINISHED") == 2


def test_changed_data_take_the_place_of_the_former_ones(sweeper: Command):
    rows = "a,b,label\n" + "".join(f"{row},{row % 7},{'xy'[row % 2]}\n" for row in range(120))
    (sweeper.folder / "mine.csv").write_text(rows)
    mine = ["experiment=own_csv", "data.target=label", "data.path=mine.csv"]
    sweep = ["-m", *mine, "training.epochs=3", "sweep.name=data", "seed=0,1"]
    assert sweeper(*sweep).returncode == 0
    (sweeper.folder / "mine.csv").write_text(rows.replace("\n5,5,", "\n5,4,"))
    again = sweeper(*sweep)
    assert "data: 2 jobs, 0 done, 2 to run." in again.stderr
    assert table(again) == table(sweeper("show", "data"))
    assert count(sweeper, "FINISHED") == 4  # what was trained on the former data is kept


def test_a_beginning_must_be_of_one_sweep(sweeper: Command):
    for name in ("one", "onion"):
        ended = sweeper("-m", f"sweep.name={name}", "training.steps=20", "seed=0,1")
        assert ended.returncode == 0, ended.stderr
    assert sweeper("show", "one").stdout.startswith("one\n")
    assert sweeper("show", "oni").stdout.startswith("onion\n")
    ended = sweeper("show", "on")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "runner show: must be one sweep, got 'on', with which 2 begin (onion, one).\n"
    )


def test_the_top_configurations_as_csv_are_all_runs_of_theirs(sweeper: Command):
    rates = "optimizer.learning_rate=0.01,0.04,0.16"
    assert sweeper("-m", "training.steps=200", rates, "seed=0,1,2").returncode == 0
    best = sweeper("show", "--top", "1").stdout.splitlines()[3].split()[1]
    rows = list(csv.DictReader(sweeper("show", "--top", "1", "--csv").stdout.splitlines()))
    assert [row["optimizer.learning_rate"] for row in rows] == [best] * 3
    losses = [float(row["val/loss"]) for row in rows]
    assert losses == sorted(losses)
