"""The command `runner rerun` from a person's words to what is printed and how it ends."""

from __future__ import annotations

from runner.config import to_plain
from runner.jobs.rerun.repetition import Repeated, Repetition, exit_code
from runner.jobs.rerun.request import Options, request
from runner.jobs.rerun.session import run_request
from runner.report.rerun import RerunLine, RerunReport, differing_settings, print_rerun
from runner.system.errors import Terminated
from runner.system.formatting import count
from runner.system.terminal import say
from runner.tracking import flattened


def repeat(options: Options) -> int:
    """Repeat what is on record, and print what came of it.

    Returns
    -------
    int
        0 if all is as it was, or was meant to be otherwise and went well; 5 if something differs;
        2 if something cannot be compared; 1 if something broke off.

    Raises
    ------
    RunnerError
        If nothing can be run.
    """
    repetition: Repetition | None = None
    try:
        repetition = Repetition(request(options))
        run_request(repetition, options)
    except (KeyboardInterrupt, Terminated):
        if repetition is None or not repetition.jobs:
            say("Interrupted before anything was compared. What is on record is as it was.")
        else:
            _print(repetition, options)
        raise
    _print(repetition, options)
    return exit_code(repetition, options)


def _print(repetition: Repetition, options: Options) -> None:
    asked = repetition.request
    is_recorded = asked.store is not None and not options.check and asked.plan is not None
    print_rerun(
        RerunReport(
            title=asked.parent.name if asked.parent else "",
            lines=[_line(job) for job in repetition.jobs],
            is_single=asked.parent is None,
            differences=repetition.differences,
            n_in_all=asked.n_in_all,
            n_missing=repetition.n_missing,
            is_sample=options.sample is not None and options.sample < asked.n_in_all,
            tolerance=options.tolerance,
            ids=_ids(repetition),
            notes=_notes(repetition, options),
            where=asked.store.where if is_recorded and asked.store else None,
            duration_s=repetition.duration_s,
        )
    )


def _ids(repetition: Repetition) -> tuple[str, str]:
    """Return the ids of the rerun and of what was repeated."""
    parent, jobs = repetition.request.parent, repetition.jobs
    if parent is not None:
        return repetition.run_id or "", parent.run_id
    outcome = jobs[0].outcome
    return outcome.run_id if outcome else "", jobs[0].original_id


def _notes(repetition: Repetition, options: Options) -> list[str]:
    notes = []
    asked = repetition.request
    if repetition.is_interrupted:
        n_jobs = len(repetition.jobs) + repetition.n_missing
        done = "compared" if asked.compares else "run"
        notes.append(
            f"Interrupted: {len(repetition.jobs):,} of {count(n_jobs, 'job')} were {done}. What "
            "was on record before is as it was."
        )
    n_taken = asked.n_in_all if options.sample is None else min(options.sample, asked.n_in_all)
    n_alike = n_taken - len(asked.unfit) - len(asked.originals)
    if n_alike and asked.plan is not None:
        notes.append(
            f"{count(n_taken, 'job')}, of which {n_alike:,} have become equal to others by the "
            "change, and were run once."
        )
    if asked.store is None and not options.check:
        notes.append("Nothing was recorded: a folder has no store.")
    return notes


def _line(job: Repeated) -> RerunLine:
    settings: list[tuple[str, str, str]] = []
    metrics: list[tuple[str, float | None, float | None]] = []
    if job.original is not None and job.planned is not None and job.comparison is None:
        now = flattened(to_plain(job.planned.experiment))
        settings = differing_settings(flattened(to_plain(job.original.experiment)), now)
        # Where equal data were found is no setting that somebody changed.
        if job.original.tags.get("runner.data_digest") == job.planned.data_digest:
            settings = [row for row in settings if row[0] != "data.path"]
        metrics = _side_by_side(job)
    outcome = job.outcome
    return RerunLine(
        name=job.name,
        comparison=job.comparison,
        failure=outcome.failure if outcome else None,
        settings=settings,
        metrics=metrics,
    )


def _side_by_side(job: Repeated) -> list[tuple[str, float | None, float | None]]:
    if job.original is None or job.outcome is None:
        return []
    then, now = job.original.source.final, job.outcome.metrics
    return [(name, then.get(name), now.get(name)) for name in dict.fromkeys([*now, *then])]
