"""A store that can only be read is compared with, exported and predicted from; nothing is lost."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import execute, moved, sweep
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import Command

# To root permissions are nothing, unless it gives up the right to pass them over.
_ROOT = os.geteuid() == 0
_AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@dataclass(frozen=True)
class ReadOnly:
    """A store in a folder that nobody may write to, with a sweep."""

    command: Command
    parent: Recorded
    job: Recorded

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_AS_OTHERS * _ROOT, sys.executable, "-m", "runner", *arguments],
            cwd=self.command.folder,
            env=self.command.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def permit(store: Path, *, writing: bool) -> None:
    for path in [store, *store.rglob("*")]:
        path.chmod((path.stat().st_mode & ~0o222) | (0o200 if writing else 0))


@pytest.fixture(scope="module")
def read_only(shared: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadOnly]:
    if _ROOT and shutil.which(_AS_OTHERS[0]) is None:
        pytest.skip("setpriv is missing, and root may write: a read-only store was NOT tested")
    parent, jobs = sweep(shared, "training.steps=40", "seed=1,2", "sweep.n_workers=1")
    copy = moved(shared, tmp_path_factory.mktemp("read-only") / "copy")
    execute(copy, "VACUUM")  # who closes a database last leaves no log beside it
    assert not list(copy.store.glob("mlflow.db-*"))
    permit(copy.store, writing=False)
    yield ReadOnly(copy, parent, jobs[0])
    permit(copy.store, writing=True)


@pytest.fixture(autouse=True)
def _as_it_was(read_only: ReadOnly) -> Iterator[None]:
    before = {path: path.stat().st_mtime_ns for path in read_only.command.store.rglob("*")}
    yield
    after = {path: path.stat().st_mtime_ns for path in read_only.command.store.rglob("*")}
    assert after == before


def test_its_runs_are_compared(read_only: ReadOnly) -> None:
    for run in (read_only.job, read_only.parent):
        ended = read_only("rerun", run.run_id, "--check")
        assert ended.returncode == 0, ended.stderr
        assert "IDENTICAL" in ended.stdout or "2 of 2 identical" in ended.stdout


def test_its_sweeps_are_shown(read_only: ReadOnly) -> None:
    assert read_only.parent.run_id in read_only("sweeps").stdout
    ended = read_only("show")
    assert "2 runs of 1 configuration" in ended.stdout, ended.stderr


def test_its_runs_are_exported_and_predicted_from(read_only: ReadOnly) -> None:
    ended = read_only("export", read_only.job.run_id, "exported")
    assert ended.returncode == 0, ended.stderr
    folder = read_only.command.folder
    assert (folder / "exported" / "weights.npz").is_file()
    (folder / "rows.csv").write_text("feature_1,feature_2,feature_3,feature_4\n1,2,3,4\n")
    ended = read_only("predict", read_only.job.run_id, "rows.csv")
    assert ended.stdout.startswith("class,"), ended.stderr


@pytest.mark.parametrize("words", [["rerun", "{}"], ["training.steps=20"]])
def test_what_has_to_be_recorded_is_refused(words: list[str], read_only: ReadOnly) -> None:
    ended = read_only(*(word.format(read_only.job.run_id) for word in words))
    assert (ended.returncode, ended.stdout) == (3, "")
    database = read_only.command.store / "mlflow.db"
    assert ended.stderr == f"{database}: cannot be written: it, or its folder, is read-only\n"
