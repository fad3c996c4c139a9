"""Where things are: the shipped configs, and the folder that runs leave their results in.

A checkout has both at its top; an installed package carries `conf/` inside itself and writes
below the folder it is started from.
"""

from __future__ import annotations

import os
from pathlib import Path

from runner.system.errors import StoreError

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent


def expanded(path: str) -> Path:
    """Return a path with ``~`` for the home folder; that of an unknown person as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_folder(path: str) -> bool:
    """Tell whether an argument names a folder; an empty one does not.

    A `StoreError` says that it is a link whose target is away.
    """
    folder = expanded(path)
    try:
        if folder.is_symlink():
            require_targets(folder)
        return path != "" and folder.is_dir()
    except OSError:  # a name longer than any
        return False


def other_than_file(path: Path) -> str | None:
    """Say what a path leads to that is no file, ``a folder`` or ``a device or pipe``.

    None of a file, and where nothing is. A pipe is not opened, which would wait.
    """
    if path.is_file() or not path.exists():
        return None
    return "a folder" if path.is_dir() else "a device or pipe"


def require_working_folder() -> None:
    """Raise `StoreError` where the folder that the program was started in is not there."""
    try:
        Path.cwd()
    except OSError as error:
        name = os.environ.get("PWD", "this one")
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"The working folder, {name}: {reason}. cd to another one.") from error


def require_targets(path: Path) -> None:
    """Raise `StoreError` where a link on the way to a file leads nowhere, or nobody may look.

    What is not there is made; what a link means is somewhere else, on a disk that is away.
    """
    for place in (*reversed(path.parents), path):
        try:
            if place.is_symlink() and not place.exists():
                target = place.readlink()
                raise StoreError(f"{place}: is a link to {target}, which is away")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"{place}: cannot be looked at: {reason}") from error


def in_checkout() -> bool:
    """Tell whether this package lies in a checkout rather than in site-packages."""
    return (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "conf").is_dir()


def config_folder() -> Path:
    """Return the folder of the shipped YAML files."""
    return _CHECKOUT / "conf" if in_checkout() else _PACKAGE / "conf"


def outputs_folder() -> Path:
    """Return the absolute folder for the store, its artifacts and whatever else runs leave."""
    return (_CHECKOUT if in_checkout() else Path.cwd()) / "outputs"
