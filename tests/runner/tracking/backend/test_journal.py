"""A database of ours keeps a log where its disk is this machine's own, and nowhere else."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runner.tracking.backend import journal
from runner.tracking.backend.journal import file_system_of, keep_log
from runner.tracking.backend.sqlite import ensure

MOUNTS = """\
20 1 254:0 / / rw,relatime - ext4 /dev/root rw
21 20 0:31 / {folder} rw shared:1 - nfs4 server:/home rw
22 21 0:32 / {folder}/own\\040disk rw - xfs /dev/sdb rw
23 20 0:33 / {folder}/hidden rw - xfs /dev/sdc rw
24 20 0:34 / {folder}/hidden rw - fuse.sshfs far: rw
a line of another kind
"""
KINDS = {
    "": "nfs4",
    "own disk": "xfs",
    "own disk/deep": "xfs",
    "own": "nfs4",
    "hidden": "fuse.sshfs",
}


def mode_of(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize(("folder", "kind"), KINDS.items())
def test_the_innermost_and_latest_mount_is_the_one_that_counts(
    tmp_path: Path, folder: str, kind: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(folder=tmp_path))
    assert file_system_of(tmp_path / folder, mounts) == kind
    assert file_system_of(Path("/"), mounts) == "ext4"


def test_without_a_list_of_mounts_nothing_is_known(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(("kind", "mode"), [("ext4", "wal"), ("nfs4", "delete"), (None, "delete")])
def test_a_log_is_kept_on_a_disk_of_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None, mode: str
) -> None:
    monkeypatch.setattr(journal, "file_system_of", lambda _: kind)
    keep_log(tmp_path / "new.db")
    assert mode_of(tmp_path / "new.db") == mode


def test_a_database_that_is_there_is_not_converted(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = database.read_bytes()
    ensure(database, database.parent / "artifacts")
    assert database.read_bytes() == before
