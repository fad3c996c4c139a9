"""The command `runner export`: write a run to a folder that can be rerun without a store."""

from __future__ import annotations

from runner.config.data import FileData
from runner.report.table import say
from runner.system.errors import CommandError
from runner.system.paths import expanded
from runner.tracking.records import Record, rerun_command, write_folder
from runner.tracking.records.export_folder import MEMBERS_FOLDER
from runner.tracking.records.mlflow_record import find_run, members_of


def export(run_id: str, folder: str, uri: str | None) -> None:
    """Write all that is needed to repeat a run to a folder that is new or empty."""
    if not folder.strip():
        raise CommandError(f"FOLDER: must be a new folder, got {folder!r}.")
    target = expanded(folder)
    record = Record.read(find_run(uri, run_id))
    members = [Record.read(member) for member in members_of(record.source) or ()]
    write_folder(record, target)
    for member in members:
        write_folder(member, target / MEMBERS_FOLDER / member.run_id)
    say(f"Exported to {target}. To repeat it: {rerun_command(str(target), record)}")
    if isinstance(record.experiment.data, FileData):
        say("PATH is the data file, which is not part of the folder.")
