"""The real command, given data or splits that cannot work: exit 2, a few lines, nothing left."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.training.data import faults_of_arrays, faults_of_parquet, faults_of_text
from tests.runner.training.data.faults import Fault

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCES = ("runner", "softnet", "hydra_plugins", "conf", "pyproject.toml")
FAULTS = [
    fault
    for table in (faults_of_text, faults_of_arrays, faults_of_parquet)
    for fault in table.FAULTS
    if fault.commanded
]
ROWS = "a,label\n" + "".join(f"{row},{'xyz'[row // 50]}\n" for row in range(150))
SPLITS = [
    (
        "contiguous",
        ROWS,
        "train=0.6 val=0.4 test=0.1",
        ("split", "at most 1", "1.1|0.6 + 0.4 + 0.1"),
    ),
    ("shuffled", ROWS, "train=0.6 val=-0.1 test=0.1", ("split.val", "-0.1", "share")),
    (
        "shuffled",
        ROWS,
        "train=0.6 val=0.2 test=0.001",
        ("split.test", "0.001 of 150 rows is 0 rows"),
    ),
    ("contiguous", ROWS, "train=100 val=40 test=40", ("split", "150 rows", "180")),
    ("contiguous", ROWS, "train=100 val=0 test=50", ("split", "'z' in test alone", "training")),
    (
        "stratified",
        ROWS + "7,rare\n",
        "train=0.6 val=0.2 test=0.2",
        ("split", "class 'rare'", "got 1", "at least 3"),
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that what a run leaves in its outputs is seen, and only that."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.is_file():
            shutil.copy2(source, folder / name)
    return folder


def run(copy: Path, folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'x.db'}",
    }
    return subprocess.run(
        [sys.executable, "-m", "runner", *overrides],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(copy: Path, folder: Path, overrides: list[str], says: tuple[str, ...]) -> None:
    before = sorted(folder.rglob("*"))
    done = run(copy, folder, *overrides)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.strip().splitlines()) <= 3
    for piece in says:
        assert any(choice in done.stderr for choice in piece.split("|"))
    assert sorted(folder.rglob("*")) == before
    assert not (copy / "outputs").exists()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file or 'path'}-{fault.name}")
def test_a_bad_file_leaves_nothing_behind(fault: Fault, copy: Path, tmp_path: Path) -> None:
    refused(copy, tmp_path, fault.overrides(tmp_path), fault.says)


@pytest.mark.parametrize(("name", "content", "sizes", "says"), SPLITS)
def test_a_bad_split_leaves_nothing_behind(
    name: str, content: str, sizes: str, says: tuple[str, ...], copy: Path, tmp_path: Path
) -> None:
    overrides = Fault(name, "t.csv", content, says).overrides(tmp_path)
    overrides += [f"split={name}", *(f"split.{size}" for size in sizes.split())]
    refused(copy, tmp_path, overrides, says)


def test_the_suggested_delimiter_works(copy: Path, tmp_path: Path) -> None:
    text = faults_of_text.GOOD.replace(",", ";")
    overrides = Fault("", "t.csv", text, ()).overrides(tmp_path)
    done = run(copy, tmp_path, *overrides)
    suggested = done.stderr.split('"')[1]
    again = run(copy, tmp_path, *overrides, suggested)
    # The file is read now, and found too short for the default split.
    assert "at most the 2 rows" in again.stderr
