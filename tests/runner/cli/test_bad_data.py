"""Data or splits that cannot work: exit 2, a few lines, nothing left behind."""

from pathlib import Path

import pytest

from tests.runner.conftest import Command
from tests.runner.training.data import faults_of_arrays, faults_of_parquet, faults_of_text
from tests.runner.training.data.faults import Fault

FAULTS = [
    fault
    for table in (faults_of_text, faults_of_arrays, faults_of_parquet)
    for fault in table.FAULTS
    if fault.commanded
]
ROWS = "a,label\n" + "".join(f"{row},{'xyz'[row // 50]}\n" for row in range(150))
RARE = ROWS + "7,rare\n"
# Kind, rows and sizes of a split; then what the message must hold.
SPLITS = [
    ("contiguous", ROWS, "train=0.6 val=0.4 test=0.1", ("split", "at most 1", "0.6 + 0.4 + 0.1")),
    ("shuffled", ROWS, "train=0.6 val=-0.1 test=0.1", ("split.val", "-0.1", "share")),
    ("shuffled", ROWS, "train=0.6 val=0.2 test=0.001", ("split.test", "0.001 of 150 rows is 0")),
    ("contiguous", ROWS, "train=100 val=40 test=40", ("split", "150 rows", "180")),
    ("contiguous", ROWS, "train=100 val=0 test=50", ("split", "'z' in test alone", "training")),
    ("stratified", RARE, "train=0.6 val=0.2 test=0.2", ("class 'rare'", "got 1", "at least 3")),
]


def check_refused(command: Command, checkout: Path, overrides: list[str], says: tuple[str, ...]):
    before = command.left()
    ended = command(*overrides)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert 1 <= len(ended.stderr.splitlines()) <= 3
    for piece in says:
        assert any(choice in ended.stderr for choice in piece.split("|"))
    assert command.left() == before
    assert not (checkout / "outputs").exists()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file or 'path'}-{fault.name}")
def test_a_bad_file_leaves_nothing_behind(fault: Fault, command: Command, checkout: Path) -> None:
    check_refused(command, checkout, fault.overrides(command.folder), fault.says)


@pytest.mark.parametrize(("name", "content", "sizes", "says"), SPLITS)
def test_a_bad_split_leaves_nothing_behind(
    name: str, content: str, sizes: str, says: tuple[str, ...], command: Command, checkout: Path
) -> None:
    overrides = Fault(name, "t.csv", content, says).overrides(command.folder)
    overrides += [f"split={name}", *(f"split.{size}" for size in sizes.split())]
    check_refused(command, checkout, overrides, says)
