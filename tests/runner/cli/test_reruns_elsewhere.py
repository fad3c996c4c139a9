"""Reruns where files are elsewhere: recorded paths, and those that a person names."""

import shutil
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import (
    Ended,
    differing,
    moved,
    new_runs,
    record,
    start_anywhere,
    sweep,
    verdict,
)
from tests.runner.cli.sweeping import Recorded, recorded
from tests.runner.conftest import CHECKOUT, Command

PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def own(shared: Command) -> Recorded:
    """A run on data of one's own, in the folder that one is in."""
    shutil.copyfile(PENGUINS, shared.folder / "mine.csv")
    return record(shared, "experiment=own_csv", "data.path=mine.csv", "training.epochs=2")


@pytest.fixture(scope="module")
def plain(shared: Command) -> Recorded:
    """A run on data that the program brings along."""
    return record(shared, "training.steps=40")


def rerun_of(command: Command, run: Recorded, *arguments: str) -> Ended:
    return command("rerun", run.run_id, "--check", *arguments)


def test_a_relative_path_is_followed_from_elsewhere(shared: Command, tmp_path: Path):
    arguments = ["experiment=own_csv", "data.path=conf/data/penguins.csv", "training.epochs=2"]
    before = recorded(shared)
    made = start_anywhere(arguments, CHECKOUT, shared.environment)
    assert made.returncode == 0, made.stderr
    (original,) = new_runs(shared, before)
    before = recorded(shared)
    again = start_anywhere(["rerun", original.run_id], tmp_path, shared.environment)
    assert (verdict(again), again.returncode) == ("IDENTICAL", 0)
    # And so is the record of what was found there.
    (rerun,) = new_runs(shared, before)
    assert verdict(rerun_of(shared, rerun)) == "IDENTICAL"
    changed = rerun_of(shared, original, "training.epochs=1")
    assert "training.epochs" in changed.stdout
    assert "data.path" not in changed.stdout


def test_a_path_as_a_setting_is_the_persons_own_word(
    shared: Command, own: Recorded, tmp_path: Path
):
    same, other = tmp_path / "same.csv", tmp_path / "other.csv"
    shutil.copyfile(PENGUINS, same)
    other.write_text(PENGUINS.read_text("utf-8").replace("Adelie", "Adélie"), "utf-8")
    assert verdict(rerun_of(shared, own, f"data.path={same}")) == "IDENTICAL"
    changed = rerun_of(shared, own, f"data.path={other}")
    assert changed.returncode == 0, changed.stderr
    assert "with other settings\n" in changed.stdout
    assert ["data.path", "mine.csv"] in [line.split()[:2] for line in changed.stdout.splitlines()]
    missing = rerun_of(shared, own, "data.path=/gone.csv")
    assert missing.stderr.startswith("data.path: must be a file, got '/gone.csv'.")
    assert "--data" not in missing.stderr
    both = rerun_of(shared, own, "--data", str(same), f"data.path={same}")
    assert both.returncode == 2
    assert both.stderr.startswith("--data: must be left out beside")


@pytest.mark.parametrize(("path", "says"), [("gone.csv", "'{}/gone.csv'"), ("", "''")])
def test_a_file_that_is_not_there_is_the_options(
    path: str, says: str, shared: Command, own: Recorded
):
    refused = rerun_of(shared, own, "--data", path)
    expected = f"--data: must be a file, got {says.format(shared.folder)}."
    assert (refused.returncode, refused.stderr.startswith(expected)) == (2, True), refused.stderr


def test_data_that_are_gone_are_named_where_they_are_now(
    shared: Command, own: Recorded, plain: Recorded, tmp_path: Path
):
    copied = moved(shared, tmp_path / "elsewhere")
    hidden = shared.store.with_name("hidden")
    shared.store.rename(hidden)
    try:
        assert verdict(rerun_of(copied, plain)) == "IDENTICAL"
        refused = rerun_of(copied, own)
        assert refused.returncode == 2
        assert "--data" in refused.stderr
        assert verdict(rerun_of(copied, own, "--data", str(PENGUINS))) == "IDENTICAL"
        environment = copied.environment | {"MLFLOW_TRACKING_URI": "sqlite:///not-there.db"}
        uri = copied.environment["MLFLOW_TRACKING_URI"]
        arguments = ["rerun", plain.run_id, "--check", "--uri", uri]
        assert verdict(start_anywhere(arguments, tmp_path, environment)) == "IDENTICAL"
    finally:
        hidden.rename(shared.store)


def test_other_data_are_refused_or_never_called_identical(
    shared: Command, own: Recorded, tmp_path: Path
):
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(PENGUINS.read_text("utf-8").replace("Adelie", "Adélie"), "utf-8")
    refused = rerun_of(shared, own, "--data", str(renamed))
    assert refused.returncode == 2
    assert "--allow-data-change accepts this one" in refused.stderr
    accepted = rerun_of(shared, own, "--data", str(renamed), "--allow-data-change")
    # Another name for a class changes no number.
    assert (verdict(accepted), accepted.returncode) == ("CLOSE", 5)
    assert "have the same bits.\n" in accepted.stdout
    assert any(row.startswith("data digest") for row in differing(accepted))
    options = ["--data", str(renamed), "--allow-data-change", "--tolerance", "0"]
    tolerated = rerun_of(shared, own, *options)
    assert (verdict(tolerated), tolerated.returncode) == ("CLOSE", 0)


def test_splits_of_several_folds_are_told_apart(shared: Command, own: Recorded, tmp_path: Path):
    folds = ["split=kfold", "split.fold=0,1", "training.epochs=1"]
    parent, _ = sweep(shared, "experiment=own_csv", "data.path=mine.csv", *folds)
    shorter = tmp_path / "shorter.csv"
    shorter.write_text("".join(PENGUINS.read_text("utf-8").splitlines(keepends=True)[:-9]), "utf-8")
    options = ["--data", str(shorter), "--allow-data-change"]
    ended = rerun_of(shared, parent, *options)
    assert ended.returncode == 5, ended.stderr
    rows = [row.partition("  ")[0] for row in differing(ended)]
    # Which of two jobs began first depends on the workers.
    assert rows[0] == "data digest"
    assert sorted(rows[1:3]) == ["split digest, fold 0", "split digest, fold 1"]
