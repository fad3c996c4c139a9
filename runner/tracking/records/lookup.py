"""Find the record of a run by what a person calls it: an id in a store, or a folder."""

from __future__ import annotations

from runner.system.environment import allow_garbage_collection
from runner.system.errors import CommandError, shorten
from runner.system.paths import expanded, is_folder
from runner.system.signals import raise_what_was_swallowed
from runner.tracking.records.export_folder import ExportedRun
from runner.tracking.records.mlflow_record import StoredRun, find_run, is_run_id


def find_source(target: str, uri: str | None) -> ExportedRun | StoredRun:
    """Find a recorded run.

    Parameters
    ----------
    target : str
        MLflow's id, or an exported folder.
    uri : str or None
        The store, as ``tracking.uri``.

    Raises
    ------
    RunnerError
        If there is no such run, or its record or store is of no use.
    """
    if is_run_id(target):
        return find_run(uri, target)
    if is_folder(target):
        # Opening a store does this too.
        allow_garbage_collection()
        raise_what_was_swallowed()
        return ExportedRun(expanded(target))
    raise CommandError(
        "RUN_ID: must be the 32 hexadecimal digits of an MLflow run, or a folder that runner "
        f"export made, got {shorten(target)}."
    )
