"""Choose the file that a rerun reads its data from.

A record names one, but anybody may have written it: unless the person who reruns names the file, a
recorded path is followed in a few folders only, and to the data that ship with the program.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from runner.config.data import FileData
from runner.config.schema import Experiment
from runner.system.errors import CommandError, ConfigError, DataError, RecordError
from runner.system.paths import config_folder, expanded, in_checkout, outputs_folder
from runner.system.text import printable
from runner.training.data import load


def allowed_folders(store_folder: Path | None) -> list[Path]:
    """Return the folders in which a recorded path is followed, that of a store here included."""
    folders = [Path.cwd()]
    if in_checkout():
        folders.append(outputs_folder().parent)
    if store_folder is not None:
        folders.append(store_folder)
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def with_data_from(
    experiment: Experiment,
    given: str | None,
    folders: Sequence[Path],
    *,
    digest: str = "",
    is_said: bool = False,
) -> Experiment:
    """Return an experiment whose data may be read, from an absolute path if they are in a file.

    That is the file that a person has `given`. A recorded path may lead into the `folders` alone,
    and a relative one is looked for in each of them; the `digest` of the data tells several files
    of one name apart. `is_said` means that the path in the experiment is the person's own word.
    Raises `RecordError` if the recorded path must not be followed, or leads to no file.
    """
    data = experiment.data
    if not isinstance(data, FileData):
        if given is not None:
            raise CommandError(
                f"--data: must be left out, since the data of this run are {data.name!r} and no "
                f"file, got {printable(given)!r}."
            )
        return experiment
    if given is not None and not given.strip():
        raise CommandError(f"--data: must be a file, got {given!r}.")
    if given is not None or is_said:
        path = expanded(data.path if given is None else given).absolute()
    else:
        path = _followed(data, experiment.task, [*folders], digest)
    changes = {"path": str(path)}
    for key in ("test_path", "val_path"):
        other = getattr(data, key)
        if other is None:
            continue
        if is_said:
            changes[key] = str(expanded(other).absolute())
            continue
        # Beside the file that a person names may be what belongs to it.
        beside = [path.parent.resolve()] if given is not None else []
        alone = data.model_copy(update={"path": other, "test_path": None, "val_path": None})
        changes[key] = str(
            _followed(alone, experiment.task, [*beside, *folders], "", f"data.{key}")
        )
    moved = data.model_copy(update=changes)
    return experiment.model_copy(update={"data": moved})


def _followed(
    data: FileData, task: str, folders: list[Path], digest: str, key: str = "data.path"
) -> Path:
    """Return where a recorded path leads, if that may be read."""
    path = expanded(data.path)
    candidates = [path] if path.is_absolute() else [folder / path for folder in folders]
    shipped = (config_folder() / "data").resolve()
    allowed = [place for place in candidates if _is_inside(place, [*folders, shipped])]
    existing = [candidate for candidate in allowed if os.path.exists(candidate)]  # noqa: PTH110  (Path's own raises for a name too long)
    # A link that leads out is what the record means, and no reason to look further.
    leads_out = any(os.path.lexists(other) for other in candidates if other not in allowed)
    names = " or ".join(map(str, folders))
    if not allowed or (leads_out and not existing):
        raise RecordError(
            f"{key}: must lead into {names} for a recorded path to be followed, got "
            f"{printable(data.path)!r}. If that file is meant, name it with --data."
        )
    if path.is_absolute():
        return path
    if not existing:
        raise RecordError(
            f"{key}: must be a file in {names}, got {printable(data.path)!r}. If it is "
            "elsewhere now, name it with --data."
        )
    same = (file for file in existing if len(existing) > 1 and _digest(data, task, file) == digest)
    return next(same, existing[0])


def _is_inside(path: Path, folders: list[Path]) -> bool:
    """Tell whether a path leads into one of the folders, wherever its links lead."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle; a null character
        return False
    return any(target.is_relative_to(folder) for folder in folders)


def _digest(data: FileData, task: str, path: Path) -> str:
    """Return the digest of what a file holds; nothing if that cannot be read."""
    try:
        return load(data.model_copy(update={"path": str(path)}), task).digest
    except (ConfigError, DataError):
        return ""
