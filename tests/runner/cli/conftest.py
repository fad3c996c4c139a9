"""The real command with an empty store that is there already, since making one takes seconds."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FOREIGN
from tests.runner.conftest import CHECKOUT, Command


@pytest.fixture
def sweeper(command: Command, migrated_database: Path) -> Command:
    """Prepare the command and a store for one test."""
    shutil.copyfile(migrated_database, command.store / "mlflow.db")
    return command


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the program take another folder for its checkout, and see what it leaves there."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    (folder / "conf").symlink_to(CHECKOUT / "conf")
    monkeypatch.setattr("runner.system.paths._CHECKOUT", folder)
    return folder


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, home: Path
) -> Iterator[Command]:
    """Prepare the command and a store for the tests of one file, which look at what it left."""
    command = Command.within(tmp_path_factory.mktemp("sweeps"))
    shutil.copyfile(migrated_database, command.store / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        yield command
