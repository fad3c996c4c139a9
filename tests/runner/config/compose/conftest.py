"""A folder with files of a person's own."""

from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra

from tests.runner.config.compose.sweeps import write_files


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where the files are."""
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_NAME", "a")
    # None of the files asks for ``hydra.mode``, which Hydra would compose once more to see.
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)
    return tmp_path
