"""Reruns where files are elsewhere: recorded paths, and those that a person names."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import differing, new_runs, record, sweep, verdict
from tests.runner.cli.sweeping import Recorded, recorded
from tests.runner.conftest import CHECKOUT, Command, Ended

PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def own(shared: Command) -> Recorded:
    """A run on data of one's own, in the folder that one is in."""
    shutil.copyfile(PENGUINS, shared.folder / "mine.csv")
    return record(
        shared,
        "experiment=own_csv",
        "data.path=mine.csv",
        "data.target=species",
        "training.epochs=2",
    )


@pytest.fixture
def renamed(tmp_path: Path) -> Path:
    """The same data, but for the name of an island."""
    file = tmp_path / "renamed.csv"
    file.write_text(PENGUINS.read_text("utf-8").replace("Torgersen", "Torgersén"), "utf-8")
    return file


def check(command: Command, run: Recorded, *arguments: str) -> Ended:
    return command("rerun", run.run_id, "--check", *arguments)


def test_a_relative_path_is_followed_from_elsewhere(shared: Command, tmp_path: Path):
    arguments = [
        "experiment=own_csv",
        "data.path=conf/data/penguins.csv",
        "data.target=species",
        "training.epochs=2",
    ]
    original = record(replace(shared, folder=CHECKOUT), *arguments)
    before = recorded(shared)
    again = replace(shared, folder=tmp_path)("rerun", original.run_id)
    assert (verdict(again), again.returncode) == ("IDENTICAL", 0)
    # And so is the record of what was found there.
    (rerun,) = new_runs(shared, before)
    assert verdict(check(shared, rerun)) == "IDENTICAL"
    changed = check(shared, original, "training.epochs=1")
    assert "training.epochs" in changed.stdout
    assert "data.path" not in changed.stdout


def test_a_path_as_a_setting_is_the_persons_own_word(shared: Command, own: Recorded, renamed: Path):
    same = renamed.with_name("same.csv")
    shutil.copyfile(PENGUINS, same)
    assert verdict(check(shared, own, f"data.path={same}")) == "IDENTICAL"
    changed = check(shared, own, f"data.path={renamed}")
    assert changed.returncode == 0, changed.stderr
    assert "with other settings\n" in changed.stdout
    assert ["data.path", "mine.csv"] in [line.split()[:2] for line in changed.stdout.splitlines()]
    missing = check(shared, own, "data.path=/gone.csv")
    assert missing.stderr.startswith("data.path: must be a file, got '/gone.csv'.")
    assert "--data" not in missing.stderr
    both = check(shared, own, "--data", str(same), f"data.path={same}")
    assert both.returncode == 2
    assert both.stderr.startswith("--data: must be left out beside")


@pytest.mark.parametrize(("path", "says"), [("gone.csv", "'{}/gone.csv'"), ("", "''")])
def test_a_file_that_is_not_there_is_the_options(
    path: str, says: str, shared: Command, own: Recorded
):
    refused = check(shared, own, "--data", path)
    expected = f"--data: must be a file, got {says.format(shared.folder)}."
    assert (refused.returncode, refused.stderr.startswith(expected)) == (2, True), refused.stderr


def test_data_that_are_gone_can_be_named_where_they_are_now(shared: Command, own: Recorded):
    (shared.folder / "mine.csv").rename(shared.folder / "theirs.csv")
    try:
        refused = check(shared, own)
        assert refused.returncode == 2
        assert "--data" in refused.stderr
        assert verdict(check(shared, own, "--data", "theirs.csv")) == "IDENTICAL"
    finally:
        (shared.folder / "theirs.csv").rename(shared.folder / "mine.csv")


def test_other_data_are_refused_or_never_called_identical(
    shared: Command, own: Recorded, renamed: Path
):
    refused = check(shared, own, "--data", str(renamed))
    assert refused.returncode == 2
    assert "--allow-data-change accepts this one" in refused.stderr
    accepted = check(shared, own, "--data", str(renamed), "--allow-data-change")
    # Another name for an island changes no number.
    assert (verdict(accepted), accepted.returncode) == ("CLOSE", 5)
    assert "have the same bits.\n" in accepted.stdout
    assert any(row.startswith("data digest") for row in differing(accepted))
    options = ["--data", str(renamed), "--allow-data-change", "--tolerance", "0"]
    tolerated = check(shared, own, *options)
    assert (verdict(tolerated), tolerated.returncode) == ("CLOSE", 0)


def test_splits_of_several_folds_are_told_apart(shared: Command, own: Recorded, tmp_path: Path):
    folds = ["split=kfold", "split.fold=0,1", "training.epochs=1"]
    parent, _ = sweep(
        shared, "experiment=own_csv", "data.path=mine.csv", "data.target=species", *folds
    )
    shorter = tmp_path / "shorter.csv"
    shorter.write_text("".join(PENGUINS.read_text("utf-8").splitlines(keepends=True)[:-9]), "utf-8")
    ended = check(shared, parent, "--data", str(shorter), "--allow-data-change")
    assert ended.returncode == 5, ended.stderr
    rows = [row.partition("  ")[0] for row in differing(ended)]
    # Which of two jobs began first depends on the workers.
    assert rows[0] == "data digest"
    assert sorted(rows[1:3]) == ["split digest, fold 0", "split digest, fold 1"]
