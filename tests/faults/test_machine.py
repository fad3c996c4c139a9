"""A machine that has no more of something, or lets nobody in: one to three lines, and exit 3."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Survive
from tests.runner.cli.sweeping import recorded
from tests.runner.conftest import Command

TRAIN = ["training.steps=20", "training.evaluate_every=10", "tracking.figures=false"]
SWEEP = ["-m", *TRAIN, "seed=range(0,6)", "optimizer.learning_rate=0.1,0.2", "sweep.n_workers=4"]
SWEEP += ["tracking.model=false"]
# What a limit is on, and the values that are tried.
LIMITS = {
    "open files": (resource.RLIMIT_NOFILE, [8, 12, 16, 24]),
    "bytes of a file": (resource.RLIMIT_FSIZE, [1_000, 100_000, 700_000]),
}


def limited(limit: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(limit, (value, value))


def run(
    command: Command, words: list[str], before: Callable[[], None] | None = None, *prefix: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "runner", *words],
        cwd=command.folder,
        env=command.environment | {"HOME": str(command.scratch)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=before,
    )


def check(ended: subprocess.CompletedProcess[str]) -> None:
    """Hold what a person sees of a machine that fails."""
    said = ended.stderr
    assert ended.returncode in {0, 3}, said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 8 if ended.returncode == 0 else 4


@pytest.mark.parametrize("words", [["seed=0", *TRAIN], SWEEP], ids=["run", "sweep"])
@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_ends_in_a_line(
    what: str, words: list[str], sweeper: Command, survive: Survive
) -> None:
    limit, values = LIMITS[what]
    survive("limits", len(values))
    bare = [*words, "tracking.model=false"] if words != SWEEP else words
    for value in values:  # the last of which a model is saved with, or nearly
        check(run(sweeper, words if value == values[-1] else bare, limited(limit, value)))
    after = run(sweeper, bare)
    assert after.returncode == 0, after.stderr
    assert "RUNNING" not in {one.status for one in recorded(sweeper)}


def let_all_search(folder: Path) -> None:
    """Let other users reach a folder: those of pytest are its owner's alone."""
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)


def as_user(number: int) -> tuple[str, ...]:
    """Return what runs a command as a user that has no name."""
    return ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root's setpriv")
@pytest.mark.parametrize("n_processes", [1, 2, 3])
def test_too_few_processes_are_said_and_fewer_workers_do(
    n_processes: int, sweeper: Command, survive: Survive
) -> None:
    survive("limits")
    sweeper.store.chmod(0o777)
    let_all_search(sweeper.folder)
    # A user of its own: the limit counts all processes of one, also those of a test beside this.
    user = 5000 + n_processes
    for path in (sweeper.folder, sweeper.store, sweeper.scratch, sweeper.store / "mlflow.db"):
        os.chown(path, user, user)
    ended = run(sweeper, SWEEP, limited(resource.RLIMIT_NPROC, n_processes), *as_user(user))
    check(ended)
    assert ended.returncode == 3 or "Going on with" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root's setpriv")
@pytest.mark.parametrize(
    "words", [["seed=0", *TRAIN], ["sweeps"], ["rerun", "0" * 32]], ids=" ".join
)
def test_a_folder_that_may_not_be_searched_is_named(
    words: list[str], sweeper: Command, survive: Survive
) -> None:
    survive("limits")
    let_all_search(sweeper.folder)
    sweeper.store.chmod(0)
    ended = run(sweeper, words, None, *as_user(4999))
    sweeper.store.chmod(0o755)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith(str(sweeper.store))
    assert len(ended.stderr.splitlines()) == 1


def test_a_working_folder_that_was_deleted_is_named(sweeper: Command, survive: Survive) -> None:
    survive("limits")
    here = sweeper.folder / "gone"
    here.mkdir()
    command = f"cd {here} && rmdir {here} && exec {sys.executable} -m runner seed=0"
    ended = subprocess.run(
        ["sh", "-c", command],
        env=sweeper.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 3
    assert "working folder" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small file system, or skip the test."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here: a full disk was NOT tested")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_folder_for_temporary_files_is_named(
    sweeper: Command, tmp_path: Path, survive: Survive
) -> None:
    survive("limits")
    with small_disk(tmp_path / "small", "size=40k") as small:
        ended = sweeper.process("seed=0", *TRAIN[:2], TMPDIR=str(small))
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"{small}/")
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.parametrize("n_inodes", [2, 5, 7])
def test_a_disk_without_inodes_for_a_database_is_named(
    n_inodes: int, command: Command, tmp_path: Path, survive: Survive
) -> None:
    survive("limits")
    with small_disk(tmp_path / "small", f"nr_inodes={n_inodes}") as small:
        ended = command.process("seed=0", *TRAIN, MLFLOW_TRACKING_URI=f"sqlite:///{small}/x/y.db")
    assert ended.returncode == 3, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.endswith(
        "no space left on device (no inodes free, which each file needs one of)\n"
    )


def test_an_export_that_the_disk_has_no_room_for_leaves_nothing(
    sweeper: Command, tmp_path: Path, survive: Survive
) -> None:
    survive("limits", 2)
    assert sweeper("seed=0", *TRAIN, "tracking.model=false").returncode == 0
    (run,) = recorded(sweeper)
    with small_disk(tmp_path / "small", "size=12k") as small:
        (small / "there").mkdir()
        for name in ("new", "there"):
            for _ in range(2):
                ended = sweeper("export", run.run_id, str(small / name))
                assert ended.returncode == 3
                assert "no space left on device" in ended.stderr
        assert list(small.rglob("*")) == [small / "there"]
