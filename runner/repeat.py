"""The command `runner rerun` from a person's words to what is printed and how it ends."""

from __future__ import annotations

from runner.config import to_plain
from runner.report import count
from runner.report.rerun import RerunLine, RerunReport, differing_settings, print_rerun
from runner.rerun.repetition import Repeated, Repetition, exit_code
from runner.rerun.request import Options, Request, request
from runner.rerun.session import run_request
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
    asked = request(options)
    repetition = run_request(asked, options)
    is_recorded = asked.store is not None and not options.check and asked.plan is not None
    print_rerun(
        RerunReport(
            title=asked.parent.name if asked.parent else "",
            lines=[_line(repetition, position) for position in range(len(repetition.jobs))],
            is_single=asked.parent is None,
            differences=repetition.differences,
            n_in_all=asked.n_in_all,
            is_sample=options.sample is not None,
            admitted=options.tolerance,
            ids=_ids(repetition),
            notes=_notes(asked, options),
            where=asked.store.where if is_recorded and asked.store else None,
            duration_s=repetition.duration_s,
        )
    )
    return exit_code(repetition, options)


def _ids(repetition: Repetition) -> tuple[str, str]:
    """Return the ids of the rerun and of what was repeated."""
    parent, jobs = repetition.request.parent, repetition.jobs
    if parent is not None:
        return repetition.run_id or "", parent.run_id
    outcome = jobs[0].outcome
    return outcome.run_id if outcome else "", jobs[0].original_id


def _notes(asked: Request, options: Options) -> list[str]:
    notes = []
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


def _line(repetition: Repetition, position: int) -> RerunLine:
    job = repetition.jobs[position]
    settings: list[tuple[str, str, str]] = []
    metrics: list[tuple[str, float | None, float | None]] = []
    if job.original is not None and job.comparison is None and repetition.request.plan is not None:
        experiment = repetition.request.plan.jobs[position].experiment
        then, now = (flattened(to_plain(e)) for e in (job.original.experiment, experiment))
        settings = differing_settings(then, now)
        metrics = _side_by_side(job)
    outcome = job.outcome
    return RerunLine(
        name=job.name,
        original_id=job.original_id,
        run_id=outcome.run_id if outcome else "",
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
