"""Experiments from Python: what the command does, with arrays and data frames as the result.

A run and a sweep take the command's own path and are recorded as its are, so `runner show` and
`runner rerun` know them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.cli.help import HELP
from runner.cli.run import run_plan
from runner.config.plain import with_settings
from runner.config.schema import Experiment
from runner.jobs.events import Finished, Listener
from runner.jobs.plan import GivenJob, Job, make_plan
from runner.jobs.search import draw
from runner.report.console import Console
from runner.system.errors import CommandError, shorten
from runner.tracking.records import Record, RecordedNetwork, find_source
from runner.training.outcome import Outcome
from runner.training.prepare import Prepared, prepared_unchanged
from runner.training.run_files import prediction_table
from runner.training.statistics import best_runs
from runner.training.tasks import TASKS
from softnet import Network

# What stands for an experiment: one, its settings as a mapping (also one that Hydra's compose API
# made), or the words of a command line.
ExperimentLike = Experiment | Mapping[str, Any] | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class RunResult(Outcome):
    """One recorded run: its outcome (`metrics`, `status`, `run_id`, ...) and all that it left.

    Parameters
    ----------
    experiment : Experiment
        With everything settled that its data decide.
    data_digest : str
        What is read of them must have it still.
    """

    experiment: Experiment
    data_digest: str

    @cached_property
    def _record(self) -> Record:
        return Record.read(find_source(self.run_id, self.experiment.tracking.uri))

    @cached_property
    def _recorded(self) -> RecordedNetwork:
        return self._record.network()

    @cached_property
    def _prepared(self) -> Prepared:
        return prepared_unchanged(self.experiment, self.data_digest, lambda: self._recorded.model)

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]]:
        """The parameters that the run left, by name, as the store has them."""
        return dict(self._recorded.weights)

    @cached_property
    def network(self) -> Network:
        """The trained network."""
        return Network.from_weights(self._recorded.weights, self._recorded.settings)

    @property
    def history(self) -> pd.DataFrame:
        """The metrics of every evaluation: a column for each, a row for each step."""
        values = {at: several[0] for at, several in self._record.metrics().items()}
        table = pd.Series(values).unstack(0) if values else pd.DataFrame()
        return table.rename_axis(index="step", columns=None)

    @property
    def predictions(self) -> pd.DataFrame:
        """What the network says of all rows: their part, number, target and prediction."""
        data = self._prepared
        predicted = {part: self._predict(data.examples(part).X) for part in data.parts}
        return pd.DataFrame(prediction_table(data, predicted))

    def predict(self, rows: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
        """Predict raw rows, as they stand in the file that was trained on.

        Raises
        ------
        DataError
            If a column is missing or is of another kind.
        """
        preprocessing, target = self._prepared.preprocessing, self._prepared.target
        X = preprocessing.transform(preprocessing.encode_rows(cast("Mapping[str, Any]", rows)))
        table = TASKS[target.task].table(self._predict(X), target.names)
        return pd.DataFrame(table, index=getattr(rows, "index", None))

    def _predict(self, X: NDArray[np.floating]) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # a run that diverged predicts NaN
            predictions: NDArray[Any] = self.network.predict(X)[0]
            return predictions


@dataclass(frozen=True)
class SweepResult:
    """A recorded sweep: `runs` in the order of its jobs, ranked by `metric`."""

    name: str
    run_id: str
    metric: str
    runs: tuple[RunResult, ...]

    @property
    def best(self) -> RunResult:
        """The best run of the configuration that is best on average, as the command has it.

        Of a configuration over several splits it is the run of the first: the model of the sweep is
        the average of them all. A `CommandError` says that no run has finished.
        """
        best = best_runs(self.runs, self.metric)
        if not best:
            raise CommandError(f"{self.name}: no run of it has finished.")
        return cast("RunResult", best[0])

    @property
    def table(self) -> pd.DataFrame:
        """A row for each run: the settings that vary, its state, its metrics; by run id."""
        rows = [{**r.varied, "status": r.status, **r.metrics} for r in self.runs]
        table = pd.DataFrame(rows, index=pd.Index([r.run_id for r in self.runs], name="run_id"))
        for key in {key for r in self.runs for key in r.varied}:
            numbers = pd.to_numeric(table[key], errors="coerce")
            table[key] = numbers if numbers.notna().all() else table[key]
        return table


def run(experiment: ExperimentLike, *, quiet: bool = False) -> RunResult:
    """Train, measure and record one experiment, as ``runner ...`` does.

    Parameters
    ----------
    experiment : Experiment, mapping or sequence of str
        Its settings as nested dicts or as Hydra's compose API returns them, or the words of a
        command line: ``["experiment=iris", "seed=3"]``.
    quiet : bool
        Whether to leave out what the command prints.

    Raises
    ------
    RunnerError
        What the command would say in its place, for instance a `ConfigError`.
    """
    finished = _carry_out([_job(experiment)], is_sweep=False, quiet=quiet)
    (result,) = _results(finished)
    return result


def sweep(
    experiments: ExperimentLike | Sequence[ExperimentLike],
    over: Mapping[str, Sequence[Any]] | None = None,
    *,
    quiet: bool = False,
) -> SweepResult:
    """Train, measure and record many experiments as one sweep, as ``runner --multirun`` does.

    Runs that an earlier call or command has finished are not run again.

    Parameters
    ----------
    experiments : experiment or sequence of them
        As `run` takes them. Words may sweep: ``["experiment=iris", "seed=range(0,5)"]``.
    over : mapping of str to sequence
        Values by dotted key; every combination of them changes the experiment.
    quiet : bool
        Whether to leave out what the command prints.
    """
    several = _several(experiments)
    over = over or {}
    for key, values in over.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise CommandError(f"over: must have a list for {key}: [{values!r}], got {values!r}.")
    changes = [dict(zip(over, values, strict=True)) for values in product(*over.values())]
    jobs = [_changed(job, change) for job in several for change in changes]
    finished = _carry_out(jobs, is_sweep=True, quiet=quiet)
    plan, results = finished.plan, tuple(_results(finished))
    return SweepResult(plan.sweep_name, finished.run_id or "", plan.first.ranking_metric, results)


def _several(experiments: ExperimentLike | Sequence[ExperimentLike]) -> Sequence[Job]:
    if isinstance(experiments, Experiment | Mapping | str):
        return [_job(experiments)]
    if not experiments:
        raise CommandError("sweep: must be one experiment or more, got none.")
    if all(isinstance(each, str) for each in experiments):
        return _composed(cast("Sequence[str]", experiments), "hydra.mode=MULTIRUN")
    return [_job(each) for each in experiments]


def _job(experiment: ExperimentLike) -> Job:
    if isinstance(experiment, Experiment):
        executor = experiment.executor.model_dump(mode="json")
        return GivenJob({**experiment.model_dump(mode="json"), "executor": executor})
    if isinstance(experiment, Mapping):
        if words := [key for key in experiment if key == "experiment" or "." in str(key)]:
            raise CommandError(
                "A mapping has all settings, a section in each; words of a command line are a "
                f'list: ["{words[0]}={experiment[words[0]]}", ...].'
            )
        if isinstance(experiment, dict):
            return GivenJob(experiment)
        from runner.config.compose import plain_config

        return GivenJob(plain_config(experiment))
    if isinstance(experiment, str):
        raise CommandError(f"An experiment must be a list of words, got {shorten(experiment)}.")
    jobs = _composed(experiment)
    if len(jobs) != 1:
        raise CommandError(f"run: must be one experiment, got {len(jobs):,}; sweep takes many.")
    return jobs[0]


def _composed(words: Sequence[str], *further: str) -> Sequence[Job]:
    from runner.config.compose import compose

    jobs = compose([*words, *further], HELP, draw=draw)
    if jobs is None:
        raise CommandError(f"An experiment must be settings (key=value), got {' '.join(words)}.")
    return jobs


def _changed(job: Job, change: Mapping[str, Any]) -> Job:
    """Return a job with other values of some settings, by dotted key."""
    if not change:
        return job
    words = [f"{key}={value}" for key, value in change.items()]
    return GivenJob(with_settings(job.config, change), (*job.overrides, *words), job.choices)


def _carry_out(jobs: Sequence[Job], *, is_sweep: bool, quiet: bool) -> Finished:
    plan = make_plan(jobs)
    listening: AbstractContextManager[Listener] = nullcontext(lambda _: None)
    with listening if quiet else Console() as listener:
        return run_plan(plan, listener, is_sweep=is_sweep)


def _results(finished: Finished) -> list[RunResult]:
    jobs = {position: finished.plan.jobs[position] for position in finished.outcomes}
    return [
        RunResult(**vars(outcome), experiment=jobs[p].experiment, data_digest=jobs[p].data_digest)
        for p, outcome in finished.outcomes.items()
    ]
