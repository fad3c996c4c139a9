"""A store that can only be read is compared with and shown; what has to be recorded is refused."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.runner.cli.rerunning import execute, sweep
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import PROGRAM, Command, Ended

# To root permissions are nothing, unless it gives up the right to pass them over.
ROOT = os.geteuid() == 0
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]

ReadOnly = tuple[Recorded, Callable[..., Ended]]


@pytest.fixture(scope="module")
def read_only(shared: Command) -> Iterator[ReadOnly]:
    """A run in a store that nobody may write to, and the command for people who are not root."""
    if ROOT and shutil.which(AS_OTHERS[0]) is None:
        pytest.skip("setpriv is missing, and root may write: a read-only store was NOT tested")
    _, jobs = sweep(shared, "training.steps=40", "seed=1,2", "sweep.n_workers=1")
    execute(shared, "VACUUM")  # who closes a database last leaves no log beside it
    paths = [shared.store, *shared.store.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)

    def run(*arguments: str) -> Ended:
        return shared.process(*arguments, program=[*AS_OTHERS * ROOT, *PROGRAM])

    yield jobs[0], run
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    assert {shared.store, *shared.store.rglob("*")} == set(paths)
    for path in paths:
        path.chmod(path.stat().st_mode | 0o200)


def test_it_is_compared_with_and_shown(read_only: ReadOnly) -> None:
    job, run = read_only
    ended = run("rerun", job.run_id, "--check")
    assert ended.returncode == 0, ended.stderr
    assert "IDENTICAL" in ended.stdout
    ended = run("show")
    assert "2 runs of 1 configuration" in ended.stdout, ended.stderr


@pytest.mark.parametrize("words", [["rerun", "{}"], ["training.steps=20"]])
def test_what_has_to_be_recorded_is_refused(words: list[str], read_only: ReadOnly) -> None:
    job, run = read_only
    ended = run(*(word.format(job.run_id) for word in words))
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "mlflow.db: cannot be written: it, or its folder, is read-only\n" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
