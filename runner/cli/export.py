"""The command `runner export`: write a run to a folder that can be rerun without a store."""

from __future__ import annotations

from runner.config.data import FileData
from runner.jobs.sweep.resume import best_of
from runner.report.table import say
from runner.system.errors import CommandError, RecordError
from runner.system.paths import expanded
from runner.tracking.records import (
    ExportedRun,
    Record,
    StoredRun,
    find_source,
    rerun_command,
    write_folder,
)
from runner.tracking.records.export_folder import MEMBERS_FOLDER
from runner.tracking.records.mlflow_record import members_of, stored_run


def single_run(target: str, uri: str | None) -> ExportedRun | StoredRun:
    """Find a run, or the best one of a sweep or a group, which is said; or an exported folder."""
    found = find_source(target, uri)
    kind = found.tags.get("runner.kind", "")
    if isinstance(found, ExportedRun) or kind not in ("sweep", "group"):
        return found
    best = best_of(found)
    if best is None:
        raise RecordError(f"{found.label}: is a {kind} of which no job has finished.")
    say(f"The best run of {found.name}: {best.run_id}  {best.name}")
    return stored_run(found.store, best.run_id)


def export(target: str, folder: str, uri: str | None) -> None:
    """Write all that is needed to repeat a run, or the best of a sweep, to a folder of its own."""
    if not folder.strip():
        raise CommandError(f"FOLDER: must be a new folder, got {folder!r}.")
    place = expanded(folder)
    source = single_run(target, uri)
    if isinstance(source, ExportedRun):
        raise CommandError(f"RUN: must be in a store to be exported, got {source.label}.")
    record = Record.read(source)
    members = [Record.read(member) for member in members_of(source) or ()]
    write_folder(record, place)
    for member in members:
        write_folder(member, place / MEMBERS_FOLDER / member.run_id)
    say(f"Exported to {place}. To repeat it: {rerun_command(str(place), record)}")
    if isinstance(record.experiment.data, FileData):
        say("PATH is the data file, which is not part of the folder.")
