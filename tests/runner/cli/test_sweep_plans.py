"""A plan is checked as a whole, can be looked at, and does not change once the sweep has begun."""

import pytest

from tests.runner.cli.instants import SHOWN_AT_ONCE
from tests.runner.cli.rerunning import artifacts
from tests.runner.cli.sweeping import BARE, Recorded, count, end, of_kind, recorded, start, until
from tests.runner.conftest import Command

ROWS = "a,b,label\n" + "".join(f"{row},{row % 7},{'xy'[row % 2]}\n" for row in range(120))
CHANGED, OTHER = (ROWS.replace("\n5,5,", f"\n5,{b},") for b in (4, 3))
Edited = tuple[str, list[Recorded]]  # what was printed, and the runs
MINE = "defaults: [sgd]\nmomentum: {momentum}\n"


def test_one_illegal_point_among_a_hundred_stops_all_before_the_first(command: Command):
    rates = ",".join([*(f"0.{number:02}" for number in range(1, 100)), "-1"])
    ended = command("-m", "training.steps=200", f"optimizer.learning_rate={rates}")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert 1 <= len(ended.stderr.splitlines()) <= 3
    assert "optimizer.learning_rate: must be a finite number above 0, got -1" in ended.stderr
    assert "Nothing was run: job 100 of 100" in ended.stderr
    assert command.left() == []


@pytest.mark.parametrize("how", ["--dry-run", "sweep.dry_run=true"])
def test_dry_run_prints_the_plan_and_leaves_nothing(how: str, command: Command):
    ended = command("-m", "seed=0,1,2,1", "optimizer.learning_rate=0.01,0.04", how)
    assert (ended.returncode, ended.stderr) == (0, "")
    name, *lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert name.endswith(": 6 jobs")
    assert lines[:4] == [
        "optimizer.learning_rate 2 values: 0.01, 0.04",
        "seed 3 values: 0, 1, 2",
        "2 points are given again, and run once.",
        "0 done, 6 to run",
    ]
    assert "stack" in lines[4]
    assert "worker" in lines[4]
    assert command.left() == []


@pytest.mark.slow
def test_planning_of_thousands_is_announced(command: Command):
    ended = command("-m", "seed=range(0,2000)", "--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "Planning 2,000 jobs.\n")
    assert "0 done, 2,000 to run" in ended.stdout


RATE = "optimizer.learning_rate"
INTERVALS = ["interval(0,1)", "tag(a,interval(0,1))"]
ENDLESS = (
    f"{RATE}: must be choices or range() with search=grid (search=random|sobol|halving|optuna take "
    "an interval), got {}.\n"
)
PARAMS = "hydra.sweeper.params"
LARGE = "the sweep: must have at most 1,000,000 jobs, got"


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (["seed=range(0,100000000)"], f"{LARGE} 100,000,000.\n"),
        (
            [f"{PARAMS}={{}}", f"+{PARAMS}.seed='range(0,inf)'"],
            f"{LARGE} no end of them.\n",
        ),
        (["seed=range(0,9,0)"], "seed=range(0,9,0): must have a step other than 0, got 0.\n"),
        (
            [f"{PARAMS}.seed='1,2'"],
            f"{PARAMS}.seed: must be added with a plus: +{PARAMS}.seed=...\n",
        ),
        *((["seed=1,2", f"{RATE}={value}"], ENDLESS.format(value)) for value in INTERVALS),
    ],
)
def test_a_sweep_that_could_not_be_planned_is_refused_at_once(
    points: list[str], says: str, command: Command
):
    ended = command("-m", *points)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", says)
    assert command.left() == []


def test_params_of_the_sweeper_can_be_given_on_the_command_line(command: Command):
    ended = command("-m", "+hydra.sweeper.params.seed='1,2'", "--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "seed  2 values: 1, 2" in ended.stdout


def test_dry_run_knows_what_is_done(sweeper: Command):
    points = ["-m", "training.steps=200", "sweep.name=grows"]
    assert sweeper(*points, "seed=0,1").returncode == 0
    before = recorded(sweeper)
    ended = sweeper(*points, "seed=0,1,2", "--dry-run")
    assert "grows: 3 jobs" in ended.stdout
    assert "2 done, 1 to run" in ended.stdout
    assert recorded(sweeper) == before


# What is edited while a sweep is at work.


@pytest.fixture(scope="module")
def edited(shared: Command) -> Edited:
    """A sweep whose YAML and whose data were edited when its first job had begun.

    Its jobs are trained one by one, the long ones first.
    """
    folder = shared.folder / "optimizer"
    folder.mkdir()
    (folder / "mine.yaml").write_text(MINE.format(momentum=0.5))
    for name, rows in (("mine.csv", ROWS), ("other.csv", OTHER)):
        (shared.folder / name).write_text(rows)
    process = start(
        shared,
        *("-m", "--config-dir", ".", "experiment=own_csv", "optimizer=mine", "training=steps"),
        "model=mlp",
        *("data.target=label", "data.path=mine.csv,other.csv", "training.steps=200,40000"),
        *("training.epochs=null", "training.evaluate_every=200", "sweep.n_workers=1", *BARE),
        before=SHOWN_AT_ONCE,
    )
    until(process, lambda: count(shared, "RUNNING"))
    (folder / "mine.yaml").write_text(MINE.format(momentum=0.9))
    (shared.folder / "mine.csv").write_text(CHANGED)
    ended = end(process)
    assert ended.returncode == 1, ended.stderr
    return ended.stdout, of_kind("run", recorded(shared))


def test_edited_yaml_changes_nothing(edited: Edited, shared: Command):
    finished = [run for run in edited[1] if run.status == "FINISHED"]
    assert len(finished) == 3
    for run in finished:
        assert "momentum: 0.5\n" in (artifacts(shared, run) / "config.yaml").read_text()


def test_remaining_jobs_of_changed_data_fail_and_say_so(edited: Edited):
    printed, runs = edited
    (failed,) = [run for run in runs if run.status != "FINISHED"]
    assert (failed.name, failed.status) == ("path=mine.csv steps=200", "FAILED")
    assert "mine.csv: must hold the data of the run" in failed.tags["runner.failure"]
    assert "must hold the data of the run" in " ".join(printed.split())
