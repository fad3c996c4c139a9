"""The command `runner export`: write a run to a folder that can be rerun without a store."""

from __future__ import annotations

from runner.config.data import FileData
from runner.report.table import say
from runner.system.errors import CommandError
from runner.system.paths import expanded
from runner.tracking.records import Record, rerun_command, write_folder
from runner.tracking.records.mlflow_record import find_run


def export(run_id: str, folder: str, uri: str | None) -> None:
    """Write all that is needed to repeat a run to a folder that is new or empty."""
    if not folder.strip():
        raise CommandError(f"FOLDER: must be a new folder, got {folder!r}.")
    target = expanded(folder)
    record = Record.read(find_run(uri, run_id))
    write_folder(record, target)
    say(f"Exported to {target}. To repeat it: {rerun_command(str(target), record)}")
    if isinstance(record.experiment.data, FileData):
        say("PATH is the data file, which is not part of the folder.")
