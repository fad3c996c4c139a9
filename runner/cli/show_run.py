"""`runner show` of a single run: its metrics, and what it says of each class."""

from __future__ import annotations

from runner.cli.predict import LoadedRun
from runner.report.runs import Classes, print_recorded_run
from runner.system.errors import CommandError, RunnerError
from runner.tracking import job_of
from runner.tracking.records.mlflow_record import find_run, members_of


def show_run(target: str, uri: str | None, data: str | None) -> None:
    """Print a run of the past; of one that has classes, how it confuses them on its last rows."""
    found = find_run(uri, target)
    if found.tags.get("runner.kind") != "ensemble" and members_of(found) is not None:
        what = f"a {found.tags['runner.kind']}, {found.label}"
        raise CommandError(f"RUN: must be a run or a sweep to be shown, got {what}.")
    outcome = job_of(found.run).outcome
    trained_on = found.tags.get("runner.trained_on", "")
    notes: list[str] = []
    classes: Classes | None = None
    if outcome.status == "FINISHED":
        try:
            run = LoadedRun(found, data)
            classes, trained_on = run.classes(), trained_on or run.rows.summary
        except RunnerError as error:  # data that are not here, weights that were removed
            if data is not None:
                raise
            notes = f"Its classes on its own rows are not shown: {error}".splitlines()
    print_recorded_run(outcome, trained_on, classes, notes, uri)
