"""Which file a rerun may read its data from: a record names one, but is not believed.

Without a word of the person who reruns, a recorded path is followed inside a few folders alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.config import Experiment, FileData
from runner.errors import CommandError, RecordError
from runner.places import expanded, in_checkout, outputs_folder
from runner.text import printable


def allowed_folders(store_folder: Path | None) -> list[Path]:
    """Return the folders in which a recorded path is followed.

    Parameters
    ----------
    store_folder : Path or None
        Of the store that the record is in, where it is one of this machine.
    """
    folders = [Path.cwd()]
    if in_checkout():
        folders.append(outputs_folder().parent)
    if store_folder is not None:
        folders.append(store_folder)
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def with_data_from(
    experiment: Experiment, given: str | None, folders: Iterable[Path]
) -> Experiment:
    """Return an experiment whose data are in a file that may be read.

    Parameters
    ----------
    experiment : Experiment
        As it was recorded.
    given : str or None
        The file that the person names.
    folders : iterable of Path
        Where a recorded path may lead.

    Raises
    ------
    CommandError
        If a file is given, and the data are none.
    RecordError
        If none is given, and the recorded one is elsewhere.
    """
    data = experiment.data
    if not isinstance(data, FileData):
        if given is not None:
            raise CommandError(
                f"--data: must be left out, since the data of this run are {data.name!r} and no "
                f"file, got {printable(given)!r}."
            )
        return experiment
    if given is None:
        allowed = list(folders)
        # As whoever reads it takes it, and wherever its links lead.
        path = _resolved(data.path)
        if path is None or not any(path.is_relative_to(folder) for folder in allowed):
            raise RecordError(
                f"data.path: must lead into {' or '.join(map(str, allowed))} for a recorded path "
                f"to be followed, got {printable(data.path)!r}. If that file is meant, name it "
                "with --data."
            )
        return experiment
    moved = data.model_copy(update={"path": str(expanded(given).absolute())})
    return experiment.model_copy(update={"data": moved})


def _resolved(path: str) -> Path | None:
    """Return where a path leads; None if it leads nowhere."""
    try:
        return expanded(path).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle; a null character
        return None
