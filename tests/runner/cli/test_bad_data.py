"""Data or splits that cannot work: exit 2, a few lines, nothing left behind."""

from pathlib import Path

import pytest

from tests.runner.conftest import Command
from tests.runner.training.data import faults_of_arrays, faults_of_parquet, faults_of_text
from tests.runner.training.data.faults import Fault

# One of each kind of file; the reader is put through all faults in tests/runner/training/data.
FAULTS = [
    fault
    for table in (faults_of_text, faults_of_arrays, faults_of_parquet)
    for fault in table.FAULTS
    if fault.name in {"words among numbers", "X without y", "nested"}
]
RARE = "a,label\n" + "".join(f"{row},{'xyz'[row // 50]}\n" for row in range(150)) + "7,rare\n"


def check_refused(command: Command, checkout: Path, overrides: list[str], says: tuple[str, ...]):
    before = command.left()
    ended = command(*overrides)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert 1 <= len(ended.stderr.splitlines()) <= 3
    for piece in says:
        assert piece in ended.stderr
    assert command.left() == before
    assert not (checkout / "outputs").exists()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.file)
def test_a_bad_file_leaves_nothing_behind(fault: Fault, command: Command, checkout: Path) -> None:
    check_refused(command, checkout, fault.overrides(command.folder), fault.says)


def test_a_class_too_small_to_split_leaves_nothing_behind(command: Command, checkout: Path) -> None:
    fault = Fault("rare", "t.csv", RARE, ("class 'rare'", "got 1", "at least 3"))
    overrides = [*fault.overrides(command.folder), "split=stratified"]
    check_refused(command, checkout, overrides, fault.says)
