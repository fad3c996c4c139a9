"""All jobs of one command, checked, keyed and named before the first of them starts.

A plan is frozen: what is in it was composed, validated and met its data once, and is what runs,
whatever happens to the YAML meanwhile. It knows neither Hydra nor MLflow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.config import Experiment, fingerprint, to_plain
from runner.jobs.names import differing, overrides_by_key, run_name
from runner.jobs.points import Job, checked, of_one_among
from runner.system.errors import ConfigError, DataError
from runner.training.prepare import Prepared, Preparer, require_fit
from softnet import StackSettings


@dataclass(frozen=True, slots=True)
class Shape:
    """What jobs must have in common to train as one stack.

    Parameters
    ----------
    data_key : str
        Of their data and split.
    settings : StackSettings
        Lengths, sizes and kinds.
    """

    data_key: str
    settings: StackSettings


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job, ready to be run.

    Parameters
    ----------
    experiment : Experiment
        What to run.
    name : str
        What varied, ``learning_rate=0.1 seed=3``.
    varied : mapping of str to str
        The overrides by which it differs from the others, by dotted key.
    key : str
        The same for whatever must give the same result.
    data_digest, split_digest : str
        Of the data when the plan was made; empty where there is a problem with it.
    shape : Shape or None
        Jobs of equal shape can train together.
    problem : RunnerError or None
        Why it cannot be run.
    said : mapping of str to str
        All its overrides, by dotted key: beside those of another command, others vary.
    """

    experiment: Experiment
    name: str
    varied: Mapping[str, str]
    key: str
    data_digest: str
    split_digest: str
    shape: Shape | None
    problem: ConfigError | DataError | None = None
    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The jobs of one command, in their order; equal ones once.

    That of a sweep with a name has the jobs that earlier commands gave it too.

    Parameters
    ----------
    jobs : tuple of PlannedJob
        At least one.
    n_duplicates : int
        Points that were given again, and are not run again.
    n_alike : int
        Points that differ from others in the experiment's name or in the path of the same data,
        which decide no result: they are not run again either.
    preparer : Preparer
        Which read their data, and still has what it read last.
    earlier : frozenset of int
        Positions of the jobs that this command has not asked for.
    replaced : frozenset of str
        Keys that jobs of it had in an earlier command, when their data were others.
    known_as : str
        The identity, where it is not that of the jobs.
    """

    jobs: tuple[PlannedJob, ...]
    n_duplicates: int = 0
    preparer: Preparer = field(default_factory=Preparer, repr=False, compare=False)
    earlier: frozenset[int] = frozenset()
    replaced: frozenset[str] = frozenset()
    known_as: str = ""
    n_alike: int = 0

    @property
    def first(self) -> Experiment:
        """The experiment of the first job, for what all jobs share."""
        position = next(p for p in range(len(self.jobs)) if p not in self.earlier)
        return self.jobs[position].experiment

    @property
    def asked(self) -> list[int]:
        """The positions of the jobs that this command has asked for."""
        return [position for position in range(len(self.jobs)) if position not in self.earlier]

    @property
    def experiment_name(self) -> str:
        """The MLflow experiment that is meant by the jobs' names."""
        # Sorted: the same sweep goes to the same place, in whatever order its jobs are given.
        return "+".join(sorted({job.experiment.name for job in self.jobs}))[:250]

    @property
    def identity(self) -> str:
        """By which the same sweep is known again: its name, or else what it runs."""
        if self.known_as:
            return self.known_as
        name = self.first.sweep.name
        told = f"name {name}" if name else "\n".join(sorted(job.key for job in self.jobs))
        return hashlib.sha256(f"{self.experiment_name}\n{told}".encode()).hexdigest()[:12]

    def lines(self) -> str:
        """Return the plan as JSON, a line for each job."""
        return "".join(
            json.dumps(
                {
                    "name": job.name,
                    "key": job.key,
                    "data_digest": job.data_digest,
                    "split_digest": job.split_digest,
                    "problem": None if job.problem is None else str(job.problem),
                    "varied": job.varied,
                    "overrides": job.said,
                    "config": to_plain(job.experiment),
                }
            )
            + "\n"
            for job in self.jobs
        )


def make_plan(jobs: Sequence[Job]) -> Plan:
    """Plan the jobs of a command, those that are equal once; see `plan_each`.

    Raises
    ------
    ConfigError
        Also for the first setting that does not fit data that can be read: an illegal point is
        said before anything is run.
    """
    plan = plan_each(jobs)
    for number, (given, planned) in enumerate(zip(jobs, plan.jobs, strict=True), start=1):
        problem = planned.problem
        if isinstance(problem, ConfigError) and not problem.key.startswith("data."):
            raise of_one_among(problem, given, number, len(jobs))
    kept: dict[str, PlannedJob] = {}
    n_alike = 0
    for job in plan.jobs:
        n_alike += kept.setdefault(job.key, job).experiment != job.experiment
    n_duplicates = len(plan.jobs) - len(kept) - n_alike
    return replace(plan, jobs=tuple(kept.values()), n_duplicates=n_duplicates, n_alike=n_alike)


def plan_each(jobs: Sequence[Job]) -> Plan:
    """Check the settings of all jobs, and those against their data.

    Parameters
    ----------
    jobs : sequence of Job
        At least one.

    Returns
    -------
    Plan
        A job for each, equal ones too.

    Raises
    ------
    ConfigError
        For the first setting that is wrong; in a sweep it says in which job.

    Notes
    -----
    A job whose *data* is of no use is planned as a problem: it costs itself alone.
    """
    experiments = checked(jobs)
    said = [overrides_by_key(job.overrides) for job in jobs]
    varied = differing(said)
    planned: dict[int, PlannedJob] = {}
    data_keys = [
        experiment.model_dump_json(include={"data", "split"}) for experiment in experiments
    ]
    present = _Present()
    # Those that share their data follow one another, so that each is read once.
    for number in sorted(range(len(jobs)), key=data_keys.__getitem__):
        experiment = experiments[number]
        shape, problem, digests = present.meet(experiment, data_keys[number])
        planned[number] = PlannedJob(
            experiment=experiment,
            name=run_name(experiment, varied[number]),
            varied=varied[number],
            # Data that cannot be read are told apart by where they should be.
            key=fingerprint(experiment, digests[0] or data_keys[number]),
            data_digest=digests[0],
            split_digest=digests[1],
            shape=shape,
            problem=problem,
            said=said[number],
        )
    return Plan(tuple(planned[number] for number in range(len(jobs))), preparer=present.preparer)


class _Present:
    """The data that the jobs at hand share, read once for all of them."""

    def __init__(self) -> None:
        self.preparer = Preparer()
        self._data_key: str | None = None
        self._found: Prepared | ConfigError | DataError
        self._shapes: dict[Shape, Shape] = {}

    def meet(
        self, experiment: Experiment, data_key: str
    ) -> tuple[Shape | None, ConfigError | DataError | None, tuple[str, str]]:
        """Return an experiment's shape, or what is wrong with it, and the digests of its data."""
        if data_key != self._data_key:
            self._data_key = data_key
            try:
                self._found = self.preparer(experiment)
            except (ConfigError, DataError) as error:
                self._found = error
        if not isinstance(self._found, Prepared):
            return None, self._found, ("", "")
        digests = self._found.dataset.digest, self._found.split.digest
        try:
            shape = Shape(data_key, require_fit(experiment, self._found))
        except ConfigError as error:
            return None, error, digests
        # Thousands of jobs share a handful of shapes.
        return self._shapes.setdefault(shape, shape), None, digests
