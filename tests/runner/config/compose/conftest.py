"""A folder with files of a person's own."""

from pathlib import Path

import pytest

from tests.runner.config.compose.sweeps import write_files


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where the files are."""
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_NAME", "a")
    return tmp_path
