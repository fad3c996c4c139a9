"""Reruns of runs of every kind, however these came about: the bits, and what is recorded."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import new_runs, record, sweep, verdict
from tests.runner.cli.sweeping import Recorded, of_kind, recorded
from tests.runner.conftest import CHECKOUT, Command

PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"
# Words in cells, a fold, early stopping, Adam and float32 at once.
EVERYTHING = [
    *(
        "experiment=own_csv",
        "data.path=mine.csv",
        "data.target=species",
        "split=kfold",
        "split.fold=2",
        "dtype=float32",
    ),
    *("training.epochs=6", "training.early_stopping={metric: val/loss, patience: 1, min_delta: 0}"),
]


@pytest.fixture(scope="module")
def own(shared: Command) -> Recorded:
    """A run on data of one's own, in the folder that one is in."""
    shutil.copyfile(PENGUINS, shared.folder / "mine.csv")
    return record(shared, *EVERYTHING)


# Two configurations with two seeds each, one of which diverges.
POINTS = ["training.steps=40", "training.evaluate_every=20", "seed=0,1"]
POINTS += ["optimizer.learning_rate=0.04,1e200"]
Swept = tuple[Recorded, list[Recorded]]


@pytest.fixture(scope="module")
def swept(shared: Command) -> Swept:
    return sweep(shared, *POINTS)


@pytest.fixture(scope="module")
def finished(swept: Swept) -> Recorded:
    return next(run for run in swept[1] if run.status == "FINISHED")


def content(command: Command) -> tuple[list[Path], list[str]]:
    """Return all that there is in the three folders and in the tables of the store."""
    with closing(sqlite3.connect(command.store / "mlflow.db")) as connection:
        rows = list(connection.iterdump())
    # Once it is closed: one that may only read leaves the database's log where it was.
    return command.left(), rows


def test_own_data_with_words_stopped_early_in_a_fold_is_identical_and_linked(
    shared: Command, own: Recorded
):
    before = recorded(shared)
    ended = shared("rerun", own.run_id)
    assert (verdict(ended), ended.returncode) == ("IDENTICAL", 0)
    (again,) = new_runs(shared, before)
    (original,) = [run for run in recorded(shared) if run.run_id == own.run_id]
    assert again.bits == original.bits
    assert (again.name, again.status) == (original.name, "FINISHED")
    assert again.tags["runner.rerun_of"] == own.run_id
    assert again.tags["runner.verdict"] == "IDENTICAL"
    assert original.tags[f"runner.rerun.{again.run_id}"] == "IDENTICAL"
    assert "runner.verdict" not in original.tags


@pytest.mark.parametrize("arguments", [(), ("--sample", "1"), ("--tolerance", "1")])
def test_check_leaves_nothing(
    arguments: tuple[str, ...], shared: Command, own: Recorded, swept: Swept
):
    target = swept[0] if "--sample" in arguments else own
    before = content(shared)
    ended = shared("rerun", target.run_id, "--check", *arguments)
    assert ended.returncode == 0, ended.stderr
    assert content(shared) == before


def test_runs_that_diverged_are_identical_too(shared: Command, swept: Swept):
    failed = [run for run in swept[1] if run.status == "FAILED"]
    assert len(failed) == 2
    ended = shared("rerun", failed[0].run_id, "--check")
    assert (verdict(ended), ended.returncode) == ("IDENTICAL", 0)


def test_rerun_of_a_sweep_is_a_run_of_its_own_and_leaves_the_sweep_as_it_was(
    shared: Command, swept: Swept
):
    parent, originals = swept
    before = recorded(shared)
    ended = shared("rerun", parent.run_id, "sweep.n_workers=2")
    assert ended.returncode == 0, ended.stderr
    assert "4 of 4 identical\n" in ended.stdout
    runs = new_runs(shared, before)
    (of_all,) = of_kind("rerun", runs)
    again = of_kind("run", runs)
    assert len(runs) == 5
    assert of_all.tags["runner.rerun_of"] == parent.run_id
    assert of_all.tags["runner.n_identical"] == "4"
    assert {run.tags["runner.rerun_of"] for run in again} == {run.run_id for run in originals}
    assert {run.tags["runner.verdict"] for run in again} == {"IDENTICAL"}
    assert {run.tags["runner.sweep"] for run in again} == {of_all.run_id}
    assert sorted(run.name for run in again) == sorted(run.name for run in originals)
    (sweep_now,) = [run for run in recorded(shared) if run.run_id == parent.run_id]
    assert sweep_now.tags[f"runner.rerun.{of_all.run_id}"] == "4 of 4 identical"
    listed = shared("sweeps", COLUMNS="200").stdout
    assert listed.count(parent.run_id[:8]) == 1
    assert of_all.run_id not in listed
    # The sweep is still complete.
    before = recorded(shared)
    assert "is over: 4 jobs" in shared("-m", *POINTS, "sweep.retry_failed=false").stderr
    assert recorded(shared) == before
    # A rerun can be repeated as well.
    third = shared("rerun", of_all.run_id, "--check")
    assert "4 of 4 identical\n" in third.stdout, third.stderr


def test_group_of_seeds_and_a_sample_are_repeated_by_the_id(shared: Command, swept: Swept):
    groups = {run.parent for run in swept[1] if run.status == "FINISHED"}
    assert len(groups) == 1
    of_group = shared("rerun", groups.pop(), "--check")
    assert "2 of 2 identical\n" in of_group.stdout, of_group.stderr
    for n_jobs in (3, 4):
        ended = shared("rerun", swept[0].run_id, "--check", "--sample", str(n_jobs))
        assert (f"a sample of {n_jobs} of 4" in ended.stdout) == (n_jobs < 4)
        assert f"{n_jobs} of {n_jobs} identical\n" in ended.stdout


def test_overrides_make_a_new_run_beside_the_old_one(shared: Command, finished: Recorded):
    before = recorded(shared)
    ended = shared("rerun", finished.run_id, "optimizer.learning_rate=0.02")
    assert ended.returncode == 0, ended.stderr
    (new,) = new_runs(shared, before)
    assert new.key != finished.key
    assert new.tags["runner.rerun_of"] == finished.run_id
    assert "runner.verdict" not in new.tags
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert ["optimizer.learning_rate", "0.04", "0.02"] in rows
    loss = [row for row in rows if row[:1] == ["val/loss"]]
    then, now = finished.metrics["val/loss", 40], new.metrics["val/loss", 40]
    assert [row[1:3] for row in loss] == [[f"{then:.4g}", f"{now:.4g}"]]


ADAM = "optimizer={name: adam, learning_rate: 0.01}"


@pytest.mark.parametrize(
    ("changes", "names", "says"),
    [
        ([ADAM], [f"optimizer=adam learning_rate=0.01 seed={seed}" for seed in (0, 1)],
         "4 jobs, 2 distinct with these settings; equal ones are run once."),
        (["seed=5", "dtype=float32"],
         ["dtype=float32 learning_rate=0.04 seed=5", "dtype=float32 learning_rate=1e+200 seed=5"],
         "4 jobs, 2 distinct with these settings; equal ones are run once."),
    ],
)  # fmt: skip
def test_changed_jobs_are_named_by_what_tells_them_apart_and_what_was_changed(
    changes: list[str], names: list[str], says: str, shared: Command, swept: Swept
):
    ended = shared("rerun", swept[0].run_id, "--check", *changes)
    lines = ended.stdout.splitlines()
    assert sorted({line.partition("  FAILED")[0] for line in lines if "seed=" in line}) == names
    assert says in lines


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (ADAM, "optimizer=adam learning_rate=0.01 seed={seed}"),
        ("optimizer.momentum=0.5", "learning_rate=0.04 momentum=0.5 seed={seed}"),
        ("seed=9", "learning_rate=0.04 seed=9"),
    ],
)
def test_a_changed_run_is_named_as_a_job_of_a_sweep(
    change: str, name: str, shared: Command, finished: Recorded
):
    ended = shared("rerun", finished.run_id, "--check", change)
    seed = finished.name.rpartition("seed=")[2]
    assert ended.stdout.startswith(f"{name.format(seed=seed)}  with other settings\n")


def test_jobs_of_a_large_stack_are_identical_alone_and_together(sweeper: Command):
    points = ["training.steps=10", "training.evaluate_every=10", "seed=range(0,64)"]
    parent, made = sweep(sweeper, *points, "sweep.n_workers=1")
    assert len(made) == 64
    for job in (made[0], made[63]):
        alone = sweeper("rerun", job.run_id, "--check")
        assert (verdict(alone), alone.returncode) == ("IDENTICAL", 0)
    together = sweeper("rerun", parent.run_id, "--check", "sweep.n_workers=1")
    assert "64 of 64 identical\n" in together.stdout, together.stdout + together.stderr
    assert together.returncode == 0


def test_the_same_value_leaves_the_name_of_a_comparison(shared: Command, finished: Recorded):
    seed = finished.name.rpartition("seed=")[2]
    ended = shared("rerun", finished.run_id, "--check", f"seed={seed}")
    assert ended.stdout.startswith(f"{finished.name}  IDENTICAL\n")


def test_forms_of_dates_are_settings_of_a_rerun_and_a_file_in_others_is_refused(shared: Command):
    table = shared.folder / "dates.csv"
    rows = [f"1/{day}/2020,{day % 3} €,{'xy'[day % 2]}" for day in range(1, 13)]
    table.write_text("\n".join(["when,price,label", *rows]), "utf-8")
    words = ["experiment=own", "data.path=dates.csv", "data.target=label", "data.day_first=false"]
    run = record(shared, *words, "training.epochs=2")
    changed = shared(
        "rerun", run.run_id, "--check", "data.formats.when=%d/%m/%Y", "data.day_first=null"
    )
    assert changed.stdout.partition("\n")[0].endswith("  with other settings")
    (row,) = [line.split() for line in changed.stdout.splitlines() if "formats.when" in line]
    assert row[-2:] == ["%m/%d/%Y", "%d/%m/%Y"]
    # Nobody says what they are: they are found out as they were.
    found = shared("rerun", run.run_id, "--check", "data.formats=null")
    assert (verdict(found), found.returncode) == ("IDENTICAL", 0)
    against = shared("rerun", run.run_id, "--check", "data.day_first=true")
    assert against.stderr.startswith(
        "data.day_first: must be null or false, since data.formats.when"
    )
    table.write_text("\n".join(["when,price,label", *rows]).replace("€", "EUR"), "utf-8")
    refused = shared("rerun", run.run_id, "--check")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "must have the content that the run had, with the digest" in refused.stderr
    assert "data.formats" not in refused.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("optimizer.nope=1", "in a rerun 'optimizer={name: ...}'"),
        ("optimizer=adam", "or a whole group ('optimizer={name: ..., learning_rate: ...}')"),
        ("data.name=iris", "split.name=shuffled and split.name=stratified mix the rows"),
        ("experiment=digits", "no file of conf/ is composed into what is on record"),
    ],
)
def test_advice_is_what_a_rerun_takes(change: str, says: str, shared: Command, finished: Recorded):
    refused = shared("rerun", finished.run_id, "--check", change)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr
