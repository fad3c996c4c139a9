"""Where a run on record is, by what a person calls it: an id in a store, or a folder."""

from __future__ import annotations

from runner.system.environment import allow_garbage_collection
from runner.system.errors import CommandError, shorten
from runner.system.paths import expanded, is_folder
from runner.system.signals import raise_what_was_swallowed
from runner.tracking.records.export_folder import FolderSource
from runner.tracking.records.mlflow_record import RecordedOriginal, find_original, is_run_id


def find_source(target: str, uri: str | None) -> FolderSource | RecordedOriginal:
    """Find a run that is on record.

    Parameters
    ----------
    target : str
        MLflow's id, or an exported folder.
    uri : str or None
        The store, as ``tracking.uri``.

    Raises
    ------
    RunnerError
        If there is no such run, its record is of no use, or the store is.
    """
    if is_run_id(target):
        return find_original(uri, target)
    if is_folder(target):
        # Who opens no store does here what comes with opening one.
        allow_garbage_collection()
        raise_what_was_swallowed()
        return FolderSource(expanded(target))
    raise CommandError(
        "RUN_ID: must be the 32 hexadecimal digits of an MLflow run, or a folder that runner "
        f"export made, got {shorten(target)}."
    )
