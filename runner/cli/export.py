"""The command `runner export`: a run as a folder that needs no store to be repeated."""

from __future__ import annotations

from runner.config import FileData
from runner.system.errors import CommandError
from runner.system.paths import expanded
from runner.system.terminal import say
from runner.tracking.records import Record, rerun_command, write_folder
from runner.tracking.records.mlflow_record import find_run


def export(run_id: str, folder: str, uri: str | None) -> None:
    """Write all that is needed to repeat a run.

    Parameters
    ----------
    run_id : str
        MLflow's id.
    folder : str
        Must not be there, or be empty.
    uri : str or None
        The store, as ``tracking.uri``.

    Raises
    ------
    RunnerError
        If there is no such run, its record is of no use, or the disk fails.
    """
    if not folder.strip():
        raise CommandError(f"FOLDER: must be a new folder, got {folder!r}.")
    place = expanded(folder)
    record = Record.read(find_run(uri, run_id))
    write_folder(record, place)
    say(f"Exported to {place}. To repeat it: {rerun_command(str(place), record)}")
    if isinstance(record.experiment.data, FileData):
        say("PATH is the data file, which is not part of the folder.")
