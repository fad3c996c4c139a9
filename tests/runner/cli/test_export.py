"""A run as a folder of its own: whole, repeatable without any store, and honest when edited."""

import math
import shutil
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import execute, record, rerun_folder, verdict
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import Command
from tests.runner.tracking.records.edited_folder import EditedFolder

FILES = [
    *("README.md", "config.json", "config.yaml", "environment.json", "metrics.csv"),
    *("model.json", "run.json", "weights.npz"),
]


@pytest.fixture(scope="module")
def run(shared: Command) -> Recorded:
    return record(shared, "training.steps=40", "training.evaluate_every=20")


@pytest.fixture(scope="module")
def exported(shared: Command, run: Recorded) -> Path:
    ended = shared("export", run.run_id, "exported")
    assert ended.returncode == 0, ended.stderr
    assert "runner rerun ./exported" in ended.stderr
    return shared.folder / "exported"


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(exported, tmp_path / "copied"))


def test_folder_is_whole_and_repeatable_where_no_store_is(folder: Path, run: Recorded):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert run.run_id in (folder / "README.md").read_text("utf-8")
    before = sorted(folder.parent.rglob("*"))
    nowhere = f"sqlite:///{folder.parent / 'nowhere.db'}"
    ended = rerun_folder(folder, MLFLOW_TRACKING_URI=nowhere)
    assert (verdict(ended), ended.returncode) == ("IDENTICAL", 0)
    assert sorted(folder.parent.rglob("*")) == before


def test_folder_that_holds_something_is_not_written_to(
    exported: Path, shared: Command, run: Recorded
):
    before = {path: path.read_bytes() for path in exported.iterdir()}
    ended = shared("export", run.run_id, "exported")
    assert ended.returncode == 2
    assert "FOLDER: must be new or empty" in ended.stderr
    assert {path: path.read_bytes() for path in exported.iterdir()} == before


@pytest.mark.parametrize("command", ["export RUN", "predict RUN", "data", "rerun", "--config-dir"])
def test_a_link_whose_target_is_away_is_named_and_left(
    command: str, shared: Command, run: Recorded
):
    link = shared.folder / f"away{len(command)}.csv"
    link.symlink_to("/nowhere/x.csv")
    ended = shared(*command.replace("RUN", run.run_id).split(), link.name)
    assert ended.returncode == 3
    assert ended.stderr.endswith(f"{link.name}: is a link to /nowhere/x.csv, which is away\n")
    assert link.is_symlink()


def test_edited_metric_is_found_though_its_digest_fits(folder: Path):
    lines = (folder / "metrics.csv").read_text("utf-8").splitlines()
    name, step, value = lines[1].split(",")
    lines[1] = f"{name},{step},{math.nextafter(float(value), math.inf)!r}"
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n", "utf-8")
    EditedFolder(folder).match()
    ended = rerun_folder(folder, "--tolerance", "1")
    assert (verdict(ended), ended.returncode) == ("DIFFERENT", 5)
    assert "the record of the metric was changed after the run" in ended.stdout


def test_what_was_edited_is_not_exported(shared: Command):
    run = record(shared, "training.steps=40", "training.evaluate_every=20", "seed=3")
    edit = "UPDATE metrics SET value = 2 WHERE run_uuid = ? AND key = 'val/loss' AND step = 20"
    assert execute(shared, edit, run.run_id) == 1
    ended = shared("export", run.run_id, "edited")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"run {run.run_id}: metrics: was edited since it was recorded")
    assert ended.stderr.endswith("; the run is not exported.\n")
    assert not (shared.folder / "edited").exists()
