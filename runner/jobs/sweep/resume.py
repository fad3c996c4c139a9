"""Where a sweep goes on: the jobs that earlier commands gave it, and what the store has of them.

Both are read from MLflow at the start of every command, so that a sweep can be continued wherever
its store is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from runner.config.plain import FOUND_OUT, LEFT_OPEN, flatten, settled_alike, to_plain
from runner.jobs.plan import (
    NOT_OF_A_JOB,
    PLAN,
    PLAN_FOLDER,
    PRUNED,
    Plan,
    PlannedJob,
    differences,
    named,
    read_lines,
)
from runner.system.errors import MissingError
from runner.tracking import job_of
from runner.training.outcome import Outcome, by_settings, is_metric
from runner.training.statistics import best_runs

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.tracking import RecordedJob, RecordedSweep, Store
    from runner.tracking.records import StoredRun

# Params that say nothing of what a person has set for a job.
NOT_SET = (*NOT_OF_A_JOB, PRUNED, *(f"data.{name}" for name in FOUND_OUT))


@dataclass(frozen=True)
class SweepState:
    """What the store has of a sweep: its run, and by position in the plan its jobs.

    Of the `recorded` ones those are `done` that are not to be run again. The `jobs` of its run are
    those of other plans, too; the runs `doubles` have FINISHED beside one that counts.
    """

    sweep: RecordedSweep | None = None
    jobs: Sequence[RecordedJob] = ()
    doubles: Sequence[str] = ()
    recorded: Mapping[int, RecordedJob] = field(default_factory=dict)
    done: Mapping[int, Outcome] = field(default_factory=dict)


def sweep_state(store: Store, plan: Plan) -> SweepState:
    """Read from the store what has been done of a plan."""
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return SweepState()
    return for_plan(SweepState(sweep, *store.sweeps.jobs_and_doubles_of(sweep)), plan)


def for_plan(state: SweepState, plan: Plan) -> SweepState:
    """Return what has been done of another plan of the same sweep."""
    from runner.jobs.search import keys_of  # NumPy, which a sweep is read back without

    positions = keys_of(plan)
    recorded: dict[int, RecordedJob] = {}
    for job in state.jobs:
        position = positions.get(job.key)
        if position is not None and (position not in recorded or job.outcome.status != "KILLED"):
            planned = plan.jobs[position]
            labelled = replace(job.outcome, name=planned.name, varied=planned.varied)
            recorded[position] = replace(job, outcome=labelled)
    # What this command has not asked for is not tried again by it.
    kept = plan.earlier if plan.first.sweep.retry_failed else range(len(plan.jobs))
    done = {
        position: job.outcome
        for position, job in recorded.items()
        if job.outcome.status in ("FINISHED", "PRUNED")
        or (job.outcome.status == "FAILED" and position in kept)
    }
    return replace(state, recorded=recorded, done=done)


def recorded_outcomes(jobs: Sequence[RecordedJob]) -> list[Outcome]:
    """Return what became of the jobs of a sweep, each labelled by what varies among all of them.

    They come in the order of their start.
    """
    jobs = _counting(jobs)
    # A run that was killed when it began has no params yet; one of an earlier version no choices.
    told = [job for job in jobs if job.params and job.choices]
    if len(told) < 2:
        return [job.outcome for job in jobs]
    configs = settled_alike([_nested(job.params) for job in told])
    varied = differences(configs, [job.choices for job in told])
    labels = {job.outcome.run_id: label for job, label in zip(told, varied, strict=True)}
    outcomes = [job.outcome for job in jobs]
    return [replace(each, varied=labels.get(each.run_id, each.varied)) for each in outcomes]


def _counting(jobs: Sequence[RecordedJob]) -> list[RecordedJob]:
    """Return the jobs that count: the latest of those with equal settings, whatever their data.

    One whose data could not be read gives way to one whose data could.
    """
    latest: dict[frozenset[tuple[str, str]], RecordedJob] = {}
    for job in jobs:
        settings = frozenset(pair for pair in job.params.items() if not pair[0].startswith(NOT_SET))
        latest[settings or frozenset([("key", job.key)])] = job

    def is_settled(job: RecordedJob) -> bool:
        return job.params.get("task") != LEFT_OPEN["task"]

    settled = [settings for settings, job in latest.items() if is_settled(job)]

    def gives_way(settings: frozenset[tuple[str, str]]) -> bool:
        certain = {pair for pair in settings if pair[0] not in LEFT_OPEN}
        return any(certain <= other for other in settled)

    return [j for settings, j in latest.items() if is_settled(j) or not gives_way(settings)]


@dataclass(frozen=True)
class SweepRuns:
    """The runs of a sweep or group, what became of each, and the metric that ranks them."""

    members: Mapping[str, StoredRun]  # by their ids
    outcomes: Sequence[Outcome]  # in the order of their settings
    metric: str

    @property
    def best(self) -> list[Outcome]:
        """The runs whose average is its model; see `best_runs`."""
        return best_runs(self.outcomes, self.metric)


def read_sweep(parent: StoredRun) -> SweepRuns:
    """Read a sweep or group; this version may not know its metric, the validation loss is known."""
    from runner.tracking.records.mlflow_record import members_of

    members = {member.run_id: member for member in members_of(parent) or ()}
    outcomes = recorded_outcomes([job_of(member.run) for member in members.values()])
    metric = parent.tags.get("runner.metric", "val/loss")
    metric = metric if is_metric(metric) else "val/loss"
    return SweepRuns(members, sorted(outcomes, key=by_settings), metric)


def _nested(params: Mapping[str, str]) -> dict[str, Any]:
    """Put MLflow's params back into the sections of a config."""
    config: dict[str, Any] = {}
    for key, text in params.items():
        section, _, name = key.partition(".")
        value = _value_of(text)
        if name:
            config.setdefault(section, {})[name] = value
        else:
            config[key] = value
    return config


@lru_cache(maxsize=4096)  # jobs of a sweep share most of them
def _value_of(text: str) -> Any:  # noqa: ANN401  (whatever a setting holds)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def with_earlier_jobs(store: Store, plan: Plan) -> Plan:
    """Return the plan of a whole sweep: what this command asks for, and what earlier ones did.

    A sweep with a name is recognized by it, whatever a command asks for: its report, its results
    and its groups are of all its jobs. A job with the settings of a present one and other data has
    given way to it. Raises `RecordError` if the plan on record is no plain file, or larger than any
    plan.
    """
    # Others are recognized by their jobs, and so have no others.
    if plan.first.sweep.name is None or plan.first.search.decides:
        return plan
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return plan
    present = {job.key: job for job in plan.jobs}
    settings: dict[str, set[str]] = {}
    jobs: dict[str, PlannedJob] = {}
    # All jobs of a sweep share how it is run and recorded.
    shared = {"tracking": plan.first.tracking, "sweep": plan.first.sweep}
    for job in read_lines(_recorded_plan(store, sweep)):
        if job.key in present:
            jobs[job.key] = present[job.key]
        else:
            left_open = _left_open(job.experiment)
            if (known := settings.get(str(left_open))) is None:
                known = {_settings(present.experiment, left_open) for present in plan.jobs}
                settings[str(left_open)] = known
            if _settings(job.experiment, left_open) not in known:
                jobs[job.key] = replace(job, experiment=job.experiment.model_copy(update=shared))
    merged = list((jobs | present).values())
    earlier = frozenset(p for p, job in enumerate(merged) if job.key not in present)
    if earlier:
        merged = named(merged)
    return replace(plan, jobs=tuple(merged), earlier=earlier)


def _recorded_plan(store: Store, sweep: RecordedSweep) -> str:
    """Return the plan on a sweep's run; nothing where it was stopped before it had one."""
    from runner.tracking.records.mlflow_record import stored_run

    try:
        content = stored_run(store, sweep.run_id).read(f"{PLAN_FOLDER}/{PLAN}")
    except MissingError:
        return ""
    return content.decode(errors="replace")


def _left_open(experiment: Experiment) -> dict[str, Any]:
    """Return the settings that are left open because the data could not be read, by section."""
    flat = flatten(to_plain(experiment))
    found: dict[str, Any] = {}
    for key, left_open in LEFT_OPEN.items() if flat["task"] == LEFT_OPEN["task"] else ():
        if flat[key] == left_open:
            section, _, name = key.rpartition(".")
            found.update(
                {section: {**found.get(section, {}), name: True}} if section else {name: True}
            )
    return found


def _settings(experiment: Experiment, left_open: Mapping[str, Any]) -> str:
    """Return what a job is, whatever is in the files that it reads."""
    found_out = dict.fromkeys(FOUND_OUT, True)
    exclude = {"tracking": True, "sweep": True, "data": found_out, **left_open}
    return experiment.model_dump_json(exclude=exclude)
