"""The command `runner export`: write a run to a folder that can be rerun without a store."""

from __future__ import annotations

from collections.abc import Sequence

from runner.config.data import FileData
from runner.jobs.sweep.resume import read_sweep
from runner.report.table import LONGEST_NAME, say
from runner.system.errors import CommandError, RecordError
from runner.system.paths import expanded
from runner.system.text import elide
from runner.tracking.records import (
    ExportedRun,
    Record,
    StoredRun,
    find_source,
    rerun_command,
    write_average,
    write_folder,
)
from runner.tracking.records.export_folder import MEMBERS_FOLDER, new_folder
from runner.tracking.records.mlflow_record import members_of, refit_of, stored_run
from runner.training.statistics import without_replicates


def runs_of_model(target: str, uri: str | None) -> Sequence[ExportedRun | StoredRun]:
    """Find a run, in a store or a folder, or the runs whose average is the model of several.

    Of a sweep or a group that is the best one, of several splits all of the best configuration, and
    of a sweep with a refit that one: which they are is said.
    """
    found = find_source(target, uri)
    kind, name = found.tags.get("runner.kind", ""), elide(found.name, LONGEST_NAME)
    if kind not in ("sweep", "group"):
        return [found]
    if isinstance(found, ExportedRun):
        return members_of(found) or ()
    if refit := refit_of(found):
        say(f"The refit of {name}: {refit.run_id}  {elide(refit.name, LONGEST_NAME)}")
        return [refit]
    best = read_sweep(found).best
    if not best:
        raise RecordError(f"{found.label}: is a {kind} of which no job has finished.")
    if len(best) == 1:
        say(f"The best run of {name}: {best[0].run_id}  {elide(best[0].name, LONGEST_NAME)}")
    else:
        what = " ".join(f"{k}={v}" for k, v in without_replicates(best[0].varied).items())
        what = f" {what}," if kind == "sweep" and what else ""
        say(f"The best of {name}:{what} the average of its {len(best):,} runs")
    return [stored_run(found.store, outcome.run_id) for outcome in best]


def export(target: str, folder: str, uri: str | None) -> None:
    """Write all that is needed to repeat a run, or the best of a sweep, to a folder of its own."""
    if not folder.strip():
        raise CommandError(f"FOLDER: must be a new folder, got {folder!r}.")
    place = expanded(folder)
    sources = runs_of_model(target, uri)
    records = [Record.read(source) for source in sources]
    record = records[0]
    if isinstance(record.source, ExportedRun):
        raise CommandError(f"RUN: must be in a store to be exported, got {record.source.label}.")
    members = records
    if len(records) == 1:
        members = [Record.read(member) for member in members_of(record.source) or ()]
    with new_folder(place):
        if len(records) > 1:
            write_average(records, place)
        else:
            write_folder(record, place)
        for member in members:
            write_folder(member, place / MEMBERS_FOLDER / member.run_id)
    say(f"Exported to {place}. To repeat it: {rerun_command(str(place), record)}")
    if isinstance(record.experiment.data, FileData):
        say("PATH is the data file, which is not part of the folder.")
