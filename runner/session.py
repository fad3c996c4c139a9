"""One command at work: every job trained, recorded and, at the end, reported.

Here the data's way comes together: a composed config becomes an experiment, an experiment a
recorded run, a run a line on the screen. It must not know Hydra, MLflow or matplotlib themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner.config import Experiment
from runner.errors import ConfigError, DataError
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
        If any setting is wrong, before a job has begun; if there is no store; or, of a job
        alone, if it cannot be run.
    """
    experiments = check(jobs)
    session = _Session()
    outcomes: list[Outcome] = []
    try:
        for experiment, varied in zip(experiments, _varied(jobs), strict=True):
            outcomes.append(_outcome(session, experiment, varied, single=len(jobs) == 1))
    finally:
        # After Ctrl-C too: what is finished by then is worth seeing.
        if outcomes and session.where:
            print_outcomes(outcomes, experiments[0].ranking_metric, session.where)
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
        self.where = ""
        self._stores: dict[tuple[str | None, str | None, str], Store] = {}
        self._prepared: dict[str, Prepared] = {}

    def prepare(self, experiment: Experiment) -> Prepared:
        """Prepare the data of an experiment, once for all jobs in a row that share it."""
        key = experiment.model_dump_json(include={"data", "split"})
        if key not in self._prepared:
            self._prepared = {key: prepare(experiment)}
        require_fit(experiment, self._prepared[key])
        return self._prepared[key]

    def store(self, experiment: Experiment) -> Store:
        """Open the store of an experiment, once."""
        from runner.tracking import open_store

        tracking = experiment.tracking
        key = (tracking.uri, tracking.experiment, experiment.name)
        if key not in self._stores:
            self._stores[key] = open_store(*key)
        self.where = self._stores[key].where
        return self._stores[key]


def _outcome(
    session: _Session, experiment: Experiment, varied: Mapping[str, str], *, single: bool
) -> Outcome:
    name = run_name(experiment, varied)
    try:
        prepared = session.prepare(experiment)
        store = session.store(experiment)
        return run_job(store, experiment, prepared, name, varied, single=single)
    except (ConfigError, DataError) as error:
        if single:
            raise
        return Outcome(name, "", "FAILED", varied, {}, str(error), 0.0)


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
    said = [
        value if key == "experiment" else f"{key.rpartition('.')[2]}={value}"
        for key, value in varied.items()
    ]
    return " ".join(said) or experiment.name
