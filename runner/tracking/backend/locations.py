"""Folders in which the artifacts of a store lie, by what the store says of them.

A store names them as it likes, and may have been moved since: here its word becomes a plain folder
of this machine, or none. Nothing is read or written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from runner.tracking.backend.address import Address

# The folder beside the database with one folder for each experiment: ours, and MLflow's own.
_LAYOUTS = ("artifacts", "mlruns")


def local_folder(uri: str) -> Path | None:
    """Return the folder of this machine that a store names; None for anything else.

    Parameters
    ----------
    uri : str
        A path, or a ``file:`` URI.
    """
    try:
        parts = urlsplit(uri)
        path = Path(unquote(parts.path) if parts.scheme == "file" else uri)
        sound = parts.scheme in {"", "file"} and not parts.netloc and path.is_absolute()
    except ValueError:  # brackets that enclose no address
        return None
    if parts.scheme == "file" and (parts.query or parts.fragment):
        return None
    if not sound or ".." in path.parts or "\0" in str(path):
        return None
    return path


def settled(address: Address, folder: Path) -> Path:
    """Return where the folder of an experiment is now: beside the database, if that was moved.

    Parameters
    ----------
    address : Address
        The store.
    folder : Path
        As the store names it.
    """
    if address.database is None or folder.parent.name not in _LAYOUTS:
        return folder
    beside = address.database.parent / folder.parent.name / folder.name
    # A copy of a store has its own, wherever the first one is. Where there is none yet, the place
    # where the store has been must be gone for it to count as moved.
    was_moved = is_folder(beside) or not is_folder(folder.parent.parent)
    return beside if was_moved else folder


def is_folder(path: Path) -> bool:
    """Tell whether a folder is there, of any path that a store may name."""
    try:
        return path.is_dir()
    except OSError:  # a name longer than any; a folder that nobody may look into
        return False
