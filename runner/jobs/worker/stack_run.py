"""Trains one stack of jobs and records their runs: the one function that every executor runs.

A generator of events. Whatever fails in a stack of many is tried again job by job, so that a bad
job costs itself alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runner.jobs.events import Begun, Ended, Progress, Resumed, WorkerEvent
from runner.jobs.plan import PlannedJob
from runner.jobs.rerun.comparison import cannot_compare
from runner.jobs.rerun.verify import LoadedReference, load_reference
from runner.jobs.worker.recording import (
    begin_run,
    close_run,
    end_run,
    fail,
    outcome_of,
    reason_of,
)
from runner.jobs.worker.task import Task, TaskJob
from runner.system.environment import code_digest, environment_digest
from runner.system.errors import ConfigError, DataError, RecordError, RunnerError, StoreError
from runner.system.files import read_state, write_state
from runner.system.signals import held
from runner.tracking import FLUSH_EVERY_S, store_at
from runner.training.prepare import Prepared, prepared_unchanged, require_fit
from runner.training.train import Result, StackTraining

if TYPE_CHECKING:
    from runner.tracking import RecordedRun, Store
    from softnet import Record

Events = Generator[WorkerEvent, None, None]

# Runs of a sweep appear in the store when they are trained, unless that takes long, and there are
# few enough of them that showing them does not take longer than training them.
_SHOWN_AFTER_S = 5.0
_SHOWN_AT_MOST = 32
# A run longer than a minute outlives a kill.
_SAVED_EVERY_S = 30.0


def run_stack(task: Task) -> Events:
    """Train the jobs of a task as one stack, and record one after the other.

    Parameters
    ----------
    task : Task
        What to do. The store is opened and the data are read here; both stay in memory for further
        tasks that need the same.

    Yields
    ------
    Begun, Progress, Resumed, Measured or Ended
        One `Ended` for each job that is wanted.

    Raises
    ------
    RunnerError
        If the store fails, or the only job of a task that is alone.
    """
    store = None if task.store is None else store_at(task.store)
    planned = task.planned(task.jobs[0])
    try:
        prepared = prepared_unchanged(planned.experiment, planned.data_digest)
    except (ConfigError, DataError) as error:
        for job in task.wanted:
            yield fail(store, task, job, str(error))
        return
    references, unfit = _load_references(task, prepared)
    yield from unfit
    task = task.only({job.position for job in task.jobs} - {event.position for event in unfit})
    if not task.jobs:
        return
    stack = _StackRun(task, store, prepared, references)
    try:
        with stack:
            yield from stack.train()
            yield from stack.record()
    except RunnerError:
        raise
    except Exception as error:
        if task.is_alone:
            raise
        if len(task.jobs) == 1:
            (job,) = task.jobs
            yield fail(store, task, job, reason_of(error), stack.closed.get(job.position))
            return
        for job in task.wanted:
            yield from run_stack(task.only({job.position}))


class _StackRun:
    """A stack from its first step to its last record; on leaving it, each open run is ended.

    Attributes
    ----------
    closed : dict of int to str
        The runs that were ended by an error, by position.
    """

    def __init__(
        self,
        task: Task,
        store: Store | None,
        prepared: Prepared,
        references: dict[int, LoadedReference],
    ) -> None:
        self.closed: dict[int, str] = {}
        self._task, self._store, self._prepared = task, store, prepared
        self._references = references
        self._jobs = [task.planned(job) for job in task.jobs]
        self._training: StackTraining
        self._open: dict[int, RecordedRun] = {}
        self._is_trained = False
        self._n_logged = 0
        self._saved_s = time.monotonic()
        keys = "\n".join(job.key for job in task.jobs)
        name = f"{hashlib.sha256(keys.encode()).hexdigest()[:16]}.npz"
        self._state = None if task.states is None else Path(task.states, name)

    def _from_the_start(self) -> StackTraining:
        return StackTraining(self._prepared, [job.experiment for job in self._jobs])

    def __enter__(self) -> Self:
        self._training = self._from_the_start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is open: KILLED by a signal or for another try of its own, else FAILED."""
        if error is None or isinstance(error, Exception):
            self._forget_state()  # all is recorded; or what raised once would raise again
        for position in list(self._open):
            self._close(position, error)

    def train(self) -> Events:
        """Train to the end; what takes long appears in the store and is saved on the way."""
        training, n_jobs = self._training, len(self._task.wanted)
        if self._task.is_alone:
            self._show()
            yield from (Begun(run.run_id) for run in self._open.values())
        if self._resume():
            training = self._training
            yield Resumed(n_jobs, training.step)
        done, begun_s = 0.0, time.monotonic()
        for record in training:
            takes_long = time.monotonic() - begun_s > _SHOWN_AFTER_S
            if takes_long and not self._open and n_jobs <= _SHOWN_AT_MOST:
                self._show()
            self._log()
            self._save()
            yield Progress((training.progress - done) * n_jobs / 2, _loss(record))
            done = training.progress
        # What stops early has done its part.
        yield Progress((1.0 - done) * n_jobs / 2)

    def record(self) -> Events:
        """Record the jobs that are wanted, one after the other."""
        results = self._training.results()
        self._is_trained = True
        for job, planned, result in zip(self._task.jobs, self._jobs, results, strict=True):
            if not job.is_wanted:
                continue
            try:
                yield from self._record(job, planned, result)
            except RunnerError:
                raise
            except Exception as error:
                if self._task.is_alone:
                    raise
                self._close(job.position, error)
                run_id = self.closed.get(job.position)
                yield fail(self._store, self._task, job, reason_of(error), run_id)

    def _record(self, job: TaskJob, planned: PlannedJob, result: Result) -> Events:
        """Record one job, compared with its reference where it has one."""
        reference = self._references.get(job.position)
        comparison = None if reference is None else reference.compare(result, self._prepared)
        run_id = ""
        if self._store is not None:
            run = self._open.get(job.position)
            if run is None:
                with held():  # a run that nobody knows of could not be closed
                    run = begin_run(self._store, self._task, job, started_s=result.started_s)
                    self._open[job.position] = run
                for (step, metrics), at_s in zip(result.history, result.times_s, strict=True):
                    run.log_metrics(step, metrics, at_s)
            yield from end_run(
                run,
                self._store,
                planned,
                self._prepared,
                result,
                is_alone=self._task.is_alone,
                last_tags={} if comparison is None else comparison.tags,
            )
            del self._open[job.position]
            run_id = run.run_id
        yield Progress(0.5, result.final.get("train/loss"))
        yield Ended(job.position, outcome_of(job, run_id, result), comparison)

    def _show(self) -> None:
        """Create the runs before they are trained."""
        if self._store is None:
            return
        for job in self._task.wanted:
            with held():  # a run that nobody knows of could not be closed
                self._open[job.position] = begin_run(
                    self._store,
                    self._task,
                    job,
                    started_s=self._training.started_s,
                    flush_every_s=FLUSH_EVERY_S * len(self._task.wanted),
                )

    def _log(self) -> None:
        """Log what the runs that are shown do not have yet."""
        if not self._open:
            return
        records = self._training.records
        for record, at_s in records[self._n_logged :]:
            for row, number in enumerate(record.runs):
                run = self._open.get(self._task.jobs[number].position)
                if run is not None:
                    metrics = {key: float(values[row]) for key, values in record.metrics.items()}
                    run.log_metrics(record.step, metrics, at_s)
        self._n_logged = len(records)

    def _save(self) -> None:
        if self._state is None or time.monotonic() - self._saved_s < _SAVED_EVERY_S:
            return
        state = {
            "environment": _environment(),
            "keys": [job.key for job in self._task.jobs],
            "training": self._training.state(),
        }
        # A disk that is full costs the time that the state would save; a record will say so.
        with suppress(StoreError):
            write_state(self._state, state)
        self._saved_s = time.monotonic()

    def _resume(self) -> bool:
        """Go on from a saved state, if there is one of the same bits."""
        if self._state is None or not self._state.exists():
            return False
        try:
            state = read_state(self._state)
            if state.get("environment") == _environment():
                self._training.restore(state["training"])
                return True
        # A torn or foreign file costs the time that it would have saved, nothing else.
        except (StoreError, KeyError, TypeError, ValueError):
            self._training = self._from_the_start()
        return False

    def _forget_state(self) -> None:
        if self._state is not None:
            self._state.unlink(missing_ok=True)

    def _close(self, position: int, error: BaseException | None) -> None:
        """End the run of a job, if it is open, as what ended it says."""
        run = self._open.pop(position, None)
        if run is None:
            return
        # Where the store itself is what failed, the next start closes the run.
        with suppress(StoreError):
            if self._is_tried_again(error):
                run.kill("the stack that it was trained in failed; it is tried again alone")
            elif error is not None:
                close_run(run, error)
            self.closed[position] = run.run_id

    def _is_tried_again(self, error: BaseException | None) -> bool:
        """Tell whether a job of a stack that failed has another try, with a run of its own."""
        ours = isinstance(error, Exception) and not isinstance(error, RunnerError)
        return ours and not self._is_trained and not self._task.is_alone and len(self._jobs) > 1


def _load_references(
    task: Task, prepared: Prepared
) -> tuple[dict[int, LoadedReference], list[Ended]]:
    """Read the records that jobs repeat, by position; those of no use end their jobs."""
    loaded: dict[int, LoadedReference] = {}
    unfit: list[Ended] = []
    for job in task.jobs:
        if job.reference is None or not job.reference.compares:
            continue
        experiment = task.planned(job).experiment
        network = require_fit(experiment, prepared).network
        digests = job.data_digest, job.split_digest
        try:
            loaded[job.position] = load_reference(job.reference, experiment, *digests, network)
        except RecordError as error:
            if task.is_alone:
                raise
            unfit.append(Ended(job.position, None, cannot_compare(str(error))))
    return loaded, unfit


def _environment() -> str:
    """Return what a training must go on with to have the same bits."""
    return f"{environment_digest()} {code_digest()}"


def _loss(record: Record) -> float | None:
    losses = record.metrics.get("train/loss")
    return None if losses is None or not len(losses) else float(losses[0])
