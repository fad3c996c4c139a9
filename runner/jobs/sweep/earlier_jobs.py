"""The jobs that earlier commands gave a sweep, beside those of the present one.

A sweep with a name is known by it, whatever a command asks for: its report, its results and its
groups are of all its jobs. One whose data could not be read is known by its settings, when they
can be. The jobs come from the plan on the sweep's run, so that a sweep can be gone on with wherever
its store is. Nothing is run here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.config import Experiment, to_plain
from runner.jobs.names import run_name
from runner.jobs.plan import Plan, PlannedJob
from runner.jobs.sweep.state_folder import PLAN, PLAN_FOLDER
from runner.system.errors import ConfigError, MissingError
from runner.training.statistics import SEED

if TYPE_CHECKING:
    from runner.tracking import RecordedSweep, Store

# Some hundred thousand jobs.
_PLAN_LIMIT = 1 << 30


def known_again(store: Store, plan: Plan) -> Plan:
    """Return a plan as that of the sweep it was when some of its data could not be read.

    What a job is known by holds the digest of its data, and without one the place where they
    should be: once the file is put right, the same command has other keys.

    Parameters
    ----------
    store : Store
        Where the sweep may be.
    plan : Plan
        Of the present command.

    Returns
    -------
    Plan
        The same one where there is no such sweep.

    Raises
    ------
    StoreError
        If the store fails.
    """
    from_files = any(getattr(job.experiment.data, "path", None) for job in plan.jobs)
    if plan.first.sweep.name is not None or not from_files:
        return plan
    if store.sweeps.newest_of(store.experiment_id, plan.identity) is not None:
        return plan
    before = store.sweeps.newest_unread(store.experiment_id, settings_digest(plan))
    return plan if before is None else replace(plan, known_as=before.identity)


def settings_digest(plan: Plan) -> str:
    """Return by what a sweep is known whose data cannot be read: all settings of all its jobs."""
    told = "\n".join(sorted(_settings(job.experiment) for job in plan.jobs))
    return hashlib.sha256(told.encode()).hexdigest()


def with_earlier_jobs(store: Store, plan: Plan) -> Plan:
    """Return the plan of a whole sweep: what is asked for now, and what earlier commands asked for.

    Every job is told by what varies among all of them. A job whose data have changed since takes
    the place of the one that it was.

    Parameters
    ----------
    store : Store
        Where the sweep is.
    plan : Plan
        Of the present command.

    Returns
    -------
    Plan
        The same one where nothing is to be added.

    Raises
    ------
    StoreError
        If the store fails.
    RecordError
        If the plan on record is no plain file, or larger than any plan.
    """
    # What has no name is known by its jobs, and so has no others.
    if plan.first.sweep.name is None and not plan.known_as:
        return plan
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return plan
    return _joined(plan, _planned_before(store, sweep).splitlines())


def _planned_before(store: Store, sweep: RecordedSweep) -> str:
    """Return the plan on a sweep's run; nothing where it was stopped before it had one."""
    from runner.tracking.records.mlflow_record import stored_run

    try:
        content = stored_run(store, sweep.run_id).read(f"{PLAN_FOLDER}/{PLAN}", _PLAN_LIMIT)
    except MissingError:
        return ""
    return content.decode(errors="replace")


def _joined(plan: Plan, lines: list[str]) -> Plan:
    present = {job.key: job for job in plan.jobs}
    settings = {_settings(job.experiment) for job in plan.jobs}
    found: dict[str, PlannedJob] = {}
    replaced: set[str] = set()
    for line in lines:
        entry = _entry(line)
        if entry is None:
            continue
        if entry.key in present:
            found[entry.key] = present[entry.key]
            continue
        job = entry.job(plan.first)
        if job is None:
            continue
        if _settings(job.experiment) in settings:
            replaced.add(job.key)
        else:
            found[job.key] = job
    jobs = list((found | present).values())
    earlier = frozenset(p for p, job in enumerate(jobs) if job.key not in present)
    if earlier:
        jobs = _told_alike(jobs)
    return replace(
        plan,
        jobs=tuple(jobs),
        earlier=earlier,
        replaced=frozenset(replaced),
        known_as=plan.identity,
    )


@dataclass(frozen=True)
class _Entry:
    """A line of a plan: the job's key, and the rest as it was read."""

    key: str
    values: Mapping[str, Any]

    def job(self, first: Experiment) -> PlannedJob | None:
        """Return the job, with what all jobs of a sweep share; None where it is none."""
        try:
            experiment = Experiment.from_dict(self.values["config"])
            said = self.values.get("overrides", self.values["varied"])
            return PlannedJob(
                experiment.model_copy(update={"tracking": first.tracking, "sweep": first.sweep}),
                name=str(self.values["name"]),
                varied={str(k): str(v) for k, v in self.values["varied"].items()},
                key=self.key,
                data_digest=str(self.values["data_digest"]),
                split_digest=str(self.values["split_digest"]),
                shape=None,
                said={str(k): str(v) for k, v in said.items()},
            )
        except (ConfigError, KeyError, AttributeError, TypeError):
            return None


def _entry(line: str) -> _Entry | None:
    """Read a line that anybody may have edited; None for what is none."""
    try:
        values = json.loads(line)
        return _Entry(str(values["key"]), values)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _settings(experiment: Experiment) -> str:
    """Return what a job is, whatever is in the files that it reads."""
    return experiment.model_dump_json(exclude={"tracking", "sweep"})


def _told_alike(jobs: list[PlannedJob]) -> list[PlannedJob]:
    """Name jobs by all that varies among them, also where their own command did not say it."""
    found = dict.fromkeys(key for job in jobs for key in job.said)
    keys = sorted(found, key=SEED.__eq__)  # last, as jobs are listed under their configurations
    told: list[dict[str, str]] = [{} for _ in jobs]
    plain = [to_plain(job.experiment) for job in jobs]
    for key in keys:
        words: dict[str, str] = {}  # 0.1 and 1e-1 are one setting: both are told as the first is
        texts: list[str | None] = []
        for job, config in zip(jobs, plain, strict=True):
            said, value = job.said.get(key), _value(config, key)
            if value is None:
                texts.append(said or _chosen(config, key))
            else:
                texts.append(words.setdefault(value, said or value))
        if len({*texts}) > 1:
            for one, text in zip(told, texts, strict=True):
                if text is not None:
                    one[key] = text
    return [
        replace(job, varied=varied, name=run_name(job.experiment, varied))
        for job, varied in zip(jobs, told, strict=True)
    ]


def _value(config: Mapping[str, Any], key: str) -> str | None:
    """Write the value of a setting as an override has it; None for what is no setting."""
    found: Any = config
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    if isinstance(found, Mapping):  # a group is told by the word that chose it
        return None
    return found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))


def _chosen(config: Mapping[str, Any], group: str) -> str | None:
    """Return what was chosen of a group without being said, where that has a name."""
    settings = config.get(group)
    name = settings.get("name") if isinstance(settings, Mapping) else None
    return name if isinstance(name, str) else None
