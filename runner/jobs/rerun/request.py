"""What is to be repeated: one run or the jobs of a sweep, found by id or in a folder, and changed.

From a person's words to a plan whose data are those that the originals had. Nothing is trained.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.config import Experiment, FileData, fingerprint, to_plain, without_groups
from runner.jobs.names import overrides_by_key, run_name
from runner.jobs.plan import Plan, PlannedJob, plan_each
from runner.jobs.rerun.data_access import allowed_folders, with_data_from
from runner.report.progress import progress
from runner.system.errors import CommandError, ConfigError, DataError, RecordError, RunnerError
from runner.system.paths import expanded
from runner.tracking.records import ExportedRun, Record, StoredRun, find_source
from runner.tracking.records.mlflow_record import members_of

if TYPE_CHECKING:
    from runner.tracking import Store


@dataclass(frozen=True)
class Options:
    """What a person asks for.

    Parameters
    ----------
    target : str
        Id of a run, a sweep or a group of seeds; or an exported folder.
    overrides : tuple of str
        Settings to change.
    check : bool
        Compare, and leave no run in the store.
    tolerance : float or None
        Relative differences up to this are admitted.
    sample : int or None
        How many jobs of a sweep to take; None for all.
    data : str or None
        Where the data file is now.
    allow_data_change : bool
        Whether other content is accepted.
    uri : str or None
        The store, as ``tracking.uri``.
    """

    target: str
    overrides: tuple[str, ...] = ()
    check: bool = False
    tolerance: float | None = None
    sample: int | None = None
    data: str | None = None
    allow_data_change: bool = False
    uri: str | None = None


@dataclass(frozen=True)
class Request:
    """What is to be repeated, ready to be run.

    Parameters
    ----------
    parent : StoredRun or None
        The sweep or group whose jobs these are; None for a single run.
    store : Store or None
        Where the originals are on record; None for a folder.
    originals : tuple of Record
        One for each job of the plan.
    plan : Plan or None
        None if there is nothing that can be run.
    compares : bool
        Whether results have to be the originals'.
    unfit : tuple of (StoredRun | ExportedRun, str)
        Runs that cannot be repeated, and why.
    n_in_all : int
        Jobs that there are, of which a sample may have been taken.
    """

    parent: StoredRun | None
    store: Store | None
    originals: tuple[Record, ...]
    plan: Plan | None
    compares: bool
    unfit: tuple[tuple[StoredRun | ExportedRun, str], ...]
    n_in_all: int


@dataclass(frozen=True)
class _RecordedJob:
    """A job as a plan takes it."""

    config: dict[str, Any]
    overrides: tuple[str, ...]


def request(options: Options) -> Request:
    """Find what is to be repeated, and plan it.

    Raises
    ------
    RecordError
        If a single run cannot be repeated.
    RunnerError
        If the command, the store or the data are of no use.
    """
    changes = overrides_by_key(options.overrides)
    # A path that the person writes is no record's, and may lead anywhere.
    is_said = not changes.keys().isdisjoint({"data", "data.path"})
    if is_said and options.data is not None:
        raise CommandError(
            "--data: must be left out beside data=... or data.path=..., which name the file too."
        )
    parent, store, sources = _sources(options)
    if store is not None and not options.check:
        store.settle()
    n_in_all = len(sources)
    if options.sample is not None:
        if parent is None:
            raise CommandError("--sample: must be left out for a single run.")
        # Some from everywhere, and the same ones each time.
        chosen = sorted(random.Random(0).sample(range(n_in_all), min(options.sample, n_in_all)))  # noqa: S311  (no secret)
        sources = [sources[position] for position in chosen]
    folders = allowed_folders(store.folder if store and store.address.database else None)
    found: list[tuple[Record, Experiment]] = []
    unfit: list[tuple[StoredRun | ExportedRun, str]] = []
    with progress(len(sources), "reading the records", unit="runs") as advance:
        for source in sources:
            try:
                original = Record.read(source)
                changed = with_data_from(
                    _changed(original.experiment, options.overrides),
                    options.data,
                    folders,
                    digest=original.tags.get("runner.data_digest", ""),
                    is_said=is_said,
                )
                found.append((original, changed))
            except RecordError as error:
                if parent is None:
                    raise
                unfit.append((source, str(error)))
            advance(1)
    if not found:
        return Request(parent, store, (), None, True, tuple(unfit), n_in_all)
    plan, originals, compares = _planned(found, changes, options, is_said=is_said)
    return Request(parent, store, originals, plan, compares, tuple(unfit), n_in_all)


def _sources(
    options: Options,
) -> tuple[StoredRun | None, Store | None, Sequence[StoredRun | ExportedRun]]:
    found = find_source(options.target, options.uri)
    if isinstance(found, ExportedRun):
        return None, None, [found]
    members = members_of(found)
    if members is None:
        return None, found.store, [found]
    if not members:
        raise RecordError(
            f"{found.place}: is a {found.tags['runner.kind']} of which no job has ended. The "
            "command that began it goes on where it stopped."
        )
    return found, found.store, members


def _changed(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    if not overrides:
        return experiment
    from runner.config.compose.changes import changed

    values = changed(to_plain(experiment), overrides)
    if values["tracking"] != to_plain(experiment)["tracking"]:
        raise CommandError("tracking: must be left as it is; --uri names the original's store.")
    try:
        return Experiment.from_dict(values)
    except ConfigError as error:
        raise without_groups(error) from None


def _planned(
    found: Sequence[tuple[Record, Experiment]],
    changes: Mapping[str, str],
    options: Options,
    *,
    is_said: bool,
) -> tuple[Plan, tuple[Record, ...], bool]:
    """Plan a job for each original; those that have become equal by changes are one.

    Returns
    -------
    plan : Plan
    originals : tuple of Record
        One for each job.
    compares : bool
        Whether results have to be the originals'.
    """
    jobs = [
        _RecordedJob(
            to_plain(experiment),
            tuple(f"{key}={value}" for key, value in {**original.varied, **changes}.items()),
        )
        for original, experiment in found
    ]
    plan = plan_each(jobs)
    others = _with_other_data(plan, found)
    compares = all(
        fingerprint(original.experiment, "") == fingerprint(changed, "")
        for original, changed in found
    )
    if is_said and others and not options.allow_data_change:
        compares = False  # other data are a change of settings, as any other
    kept: dict[str, tuple[PlannedJob, Record]] = {}
    for number, (job, (original, _)) in enumerate(zip(plan.jobs, found, strict=True)):
        if compares:
            planned = replace(job, name=original.name, varied=original.varied)
        else:
            # Of a sample, or of a run alone, too little varies to name it by.
            varied = {**original.varied, **changes}
            planned = replace(job, name=run_name(job.experiment, varied), varied=varied)
        kept.setdefault(str(number) if compares else job.key, (planned, original))
    problems = [job.problem for job in plan.jobs]
    if all(problems) and problems[0] is not None:
        raise problems[0] if is_said else _with_hint(problems[0], plan.first, options)
    if others and not is_said and not options.allow_data_change:
        raise _other_content(*others[0])
    planned_jobs, originals = zip(*kept.values(), strict=True)
    return replace(plan, jobs=planned_jobs), originals, compares


def _with_other_data(
    plan: Plan, found: Sequence[tuple[Record, Experiment]]
) -> list[tuple[Record, PlannedJob]]:
    """Return the jobs whose data are others than they had, by no setting but the path."""
    return [
        (original, job)
        for job, (original, _) in zip(plan.jobs, found, strict=True)
        if job.problem is None
        and not _other_data(original.experiment, job.experiment)
        and job.data_digest != original.tags.get("runner.data_digest", "")
    ]


def _other_content(original: Record, job: PlannedJob) -> DataError:
    data = job.experiment.data
    name = data.path if isinstance(data, FileData) else data.name
    then = original.tags.get("runner.data_digest", "")
    return DataError(
        f"{name}: must have the content that the run had, with the digest {then[:12]!r}, "
        f"got {job.data_digest[:12]!r}.\n"
        "--data names the right file; --allow-data-change accepts this one."
    )


def _other_data(original: Experiment, changed: Experiment) -> bool:
    """Tell whether the data were changed by a setting, and not only moved."""
    then, now = (e.data.model_dump(exclude={"path"}) for e in (original, changed))
    return bool(then != now)


def _with_hint(
    problem: ConfigError | DataError, experiment: Experiment, options: Options
) -> RunnerError:
    data = experiment.data
    if not isinstance(data, FileData) or expanded(data.path).exists():
        return problem
    if options.data is not None:
        return CommandError(str(problem).replace("data.path: ", "--data: ", 1))
    return DataError(f"{problem}\nIf it is elsewhere now, name it with --data.")
