"""One command at work: every job trained, recorded and, at the end, reported.

Here the data's way comes together: a composed config becomes an experiment, an experiment a
recorded run, a run a line on the screen. It must not know Hydra, MLflow or matplotlib themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner import garbage
from runner.config import Experiment
from runner.errors import ConfigError, DataError, Terminated
from runner.execute import Prepared, prepare, require_fit
from runner.record import run_job
from runner.report import Outcome, print_outcomes

if TYPE_CHECKING:
    from runner.compose import Job
    from runner.tracking import Store


def run_jobs(jobs: Sequence[Job]) -> list[Outcome]:
    """Train and record the jobs of one command, and print what came of them.

    Parameters
    ----------
    jobs : sequence of Job
        At least one. One job alone gets figures and a loadable model as well.

    Returns
    -------
    list of Outcome
        One per job, in their order. In a sweep a job that cannot be run is a FAILED outcome, and
        the others go on.

    Raises
    ------
    RunnerError
        Before a job has begun: if a setting is wrong, if there is no store, or if the data of no
        job at all can be used.
    """
    experiments = check(jobs)
    session = _Session()
    problems = session.problems(experiments)
    if len(problems) == len(jobs):
        raise problems[0]  # before a store is made for nothing
    stores = [session.store(experiment) for experiment in experiments]
    garbage.allow()
    outcomes: list[Outcome] = []
    try:
        for number, varied in enumerate(_varied(jobs)):
            experiment = experiments[number]
            name = run_name(experiment, varied)
            if number in problems:
                failure = str(problems[number])
                outcomes.append(Outcome(name, "", "FAILED", varied, {}, failure, 0.0))
                continue
            prepared = session.prepare(experiment)
            single = len(jobs) == 1
            try:
                outcome = run_job(stores[number], experiment, prepared, name, varied, single=single)
            except (KeyboardInterrupt, Terminated):
                waiting = len(jobs) - number - 1
                reason = "interrupted" + (f", {waiting:,} more not begun" if waiting else "")
                outcomes.append(Outcome(name, "", "KILLED", varied, {}, reason, 0.0))
                raise
            outcomes.append(outcome)
    finally:
        # After Ctrl-C too: what is finished by then is worth seeing.
        if outcomes:
            print_outcomes(outcomes, experiments[0].ranking_metric, stores[0].where)
    return outcomes


def check(jobs: Sequence[Job]) -> list[Experiment]:
    """Check the settings of all jobs before the first one starts.

    Raises
    ------
    ConfigError
        For the first job that is wrong; in a sweep it says which.
    """
    experiments = []
    for number, job in enumerate(jobs, start=1):
        try:
            experiments.append(Experiment.from_dict(job.config))
        except ConfigError as error:
            if len(jobs) == 1:
                raise
            point = f"Nothing was run: job {number} of {len(jobs)} is {' '.join(job.overrides)}"
            raise ConfigError.plain("\n".join([*str(error).splitlines()[:2], point])) from None
    return experiments


class _Session:
    """What the jobs of one command share: open stores, and the data of the job before."""

    def __init__(self) -> None:
        self._stores: dict[tuple[str | None, str | None, str], Store] = {}
        self._prepared: dict[str, Prepared] = {}

    def problems(self, experiments: Sequence[Experiment]) -> dict[int, ConfigError | DataError]:
        """Find the jobs whose data cannot be used, or do not fit what they ask, by number."""
        found: dict[int, ConfigError | DataError] = {}
        # Those that share their data follow one another, so that each is read once.
        for number in sorted(range(len(experiments)), key=lambda n: _data_key(experiments[n])):
            try:
                require_fit(experiments[number], self.prepare(experiments[number]))
            except (ConfigError, DataError) as error:
                found[number] = error
        return found

    def prepare(self, experiment: Experiment) -> Prepared:
        """Prepare the data of an experiment, once for all jobs in a row that share it."""
        key = _data_key(experiment)
        if key not in self._prepared:
            self._prepared = {key: prepare(experiment)}
        return self._prepared[key]

    def store(self, experiment: Experiment) -> Store:
        """Open the store of an experiment, once."""
        from runner.tracking import open_store

        tracking = experiment.tracking
        key = (tracking.uri, tracking.experiment, experiment.name)
        if key not in self._stores:
            self._stores[key] = open_store(*key)
        return self._stores[key]


def _data_key(experiment: Experiment) -> str:
    return experiment.model_dump_json(include={"data", "split"})


def _varied(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """Return for each job the overrides that not all jobs have; all of them for a job alone."""
    said = [
        dict(override.lstrip("+~").partition("=")[::2] for override in job.overrides)
        for job in jobs
    ]
    if len(said) == 1:
        return said
    differing = {key for one in said for key in one if any(one[key] != o.get(key) for o in said)}
    return [{key: value for key, value in one.items() if key in differing} for one in said]


def run_name(experiment: Experiment, varied: Mapping[str, str]) -> str:
    """Name a run by what varied, ``learning_rate=0.1 seed=3``, or else by its experiment."""
    words = [key.rpartition(".")[2] for key in varied]
    said = []
    for word, (key, value) in zip(words, varied.items(), strict=True):
        short = word if words.count(word) == 1 else key  # seed and split.seed
        said.append(value if key == "experiment" else f"{short}={value}")
    return " ".join(said) or experiment.name
