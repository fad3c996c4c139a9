"""Trains one stack of jobs and records their runs: the one function that every executor runs.

A generator of events. Whatever fails in a stack of many is tried again job by job, so that a bad
job costs itself alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runner.config.data import FileData
from runner.config.schema import Experiment
from runner.jobs.events import Begun, Ended, Progress, Resumed, WorkerEvent
from runner.jobs.plan import PlannedJob
from runner.jobs.rerun.comparison import Comparison, cannot_compare
from runner.jobs.rerun.verify import LoadedReference, load_reference
from runner.jobs.worker.recording import (
    Stop,
    begin_run,
    close_run,
    end_run,
    fail,
    never,
    outcome_of,
    reason_of,
    settled,
)
from runner.jobs.worker.task import Task, TaskJob
from runner.system.errors import (
    ConfigError,
    DataError,
    RecordError,
    RunnerError,
    StoreError,
    StoreLost,
    Terminated,
)
from runner.system.files import read_state, write_state
from runner.system.paths import expanded
from runner.system.signals import held
from runner.tracking import FLUSH_EVERY_S, store_at, write_together
from runner.training.environment import code_digest, environment_digest
from runner.training.prepare import Prepared, prepared_unchanged, require_fit
from runner.training.train import Result, StackTraining

if TYPE_CHECKING:
    from runner.tracking import RunWriter, Store
    from softnet import Record

Events = Generator[WorkerEvent, None, None]

# Runs of a sweep appear in the store when they are trained, unless that takes long, and there are
# few enough of them that showing them does not take longer than training them.
_SHOWN_AFTER_S = 5.0
_SHOWN_AT_MOST = 32
# However few they are by then, so that a kill costs little and memory holds little of large ones.
_WRITTEN_EVERY_S, _WRITTEN_BYTES = 1.0, 8_000_000
# A run longer than a minute outlives a kill.
_SAVED_EVERY_S = 30.0


def run_stack(task: Task, stop: Stop = never) -> Events:
    """Train the jobs of a task as one stack, and record one after the other.

    Parameters
    ----------
    task : Task
        What to do. The store is opened and the data are read here; both stay in memory for further
        tasks that need the same.
    stop : callable
        Asked between two records, and before a run is FINISHED: whether to leave the task as it is.
        For workers that no signal reaches.

    Yields
    ------
    Begun, Progress, Resumed, Measured or Ended
        One `Ended` for each job that is wanted.

    Raises
    ------
    RunnerError
        If the store fails, or the only job of a task that is alone.
    Terminated
        If it has to stop; what was open is KILLED.
    """
    store = None if task.store is None else store_at(task.store)
    if store is not None and task.is_remote:
        store.backend.keeps = False  # on the disk of another machine nobody would look for it
        done = settled(store, task)
        yield from done
        task = task.only({j.position for j in task.jobs} - {event.position for event in done})
    if task.jobs:
        yield from _run_missing(task, store, stop)


def _run_missing(task: Task, store: Store | None, stop: Stop) -> Events:
    """Run the jobs of a task, none of which has been done."""
    planned = task.planned(task.jobs[0])
    try:
        experiment = located(planned.experiment, task.folder)
        prepared = prepared_unchanged(experiment, planned.data_digest)
    except (ConfigError, DataError) as error:
        for job in task.wanted:
            yield fail(store, task, job, str(error))
        return
    references, unfit = _load_references(task, prepared)
    yield from unfit
    task = task.only({job.position for job in task.jobs} - {event.position for event in unfit})
    if not task.jobs:
        return
    stack = _StackRun(task, store, prepared, references, stop)
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
            yield from run_stack(task.only({job.position}), stop)


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
        stop: Stop,
    ) -> None:
        self._stop = stop
        self.closed: dict[int, str] = {}
        self._task, self._store, self._prepared = task, store, prepared
        self._references = references
        self._jobs = [task.planned(job) for job in task.jobs]
        self._training: StackTraining
        self._open: dict[int, RunWriter] = {}
        self._ready: list[tuple[TaskJob, Result, Comparison | None]] = []
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
        if not isinstance(error, StoreError) and not self._stop():
            with suppress(StoreError):
                self._write_runs([job.position for job, _, _ in self._ready])
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
            if self._stop():
                raise Terminated
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
        """Record the jobs that are wanted, as many at a time as the store takes best."""
        results = self._training.results()
        self._is_trained = True
        at_once = 1 if self._store is None else self._store.backend.runs_at_once
        n_bytes, ready_s = 0, time.monotonic()
        for job, planned, result in zip(self._task.jobs, self._jobs, results, strict=True):
            if not job.is_wanted:
                continue
            if self._stop():
                raise Terminated
            try:
                yield from self._record(job, planned, result)
            except RunnerError:
                raise
            except Exception as error:
                if self._task.is_alone:
                    raise
                yield self._fail(job, error)
                continue
            run = self._open.get(job.position)
            n_bytes += 0 if run is None else run.n_bytes
            is_late = time.monotonic() - ready_s > _WRITTEN_EVERY_S or n_bytes > _WRITTEN_BYTES
            if len(self._ready) >= at_once or is_late:
                yield from self._write()
                n_bytes, ready_s = 0, time.monotonic()
        yield from self._write()

    def _record(self, job: TaskJob, planned: PlannedJob, result: Result) -> Events:
        """Make a job ready to be written, compared with its reference where it has one."""
        reference = self._references.get(job.position)
        comparison = None if reference is None else reference.compare(result, self._prepared)
        if self._store is not None:
            run = self._open.get(job.position)
            if run is None:
                at_s = result.started_s
                with held():  # a server has it at once: nobody could close one that is not known
                    run = begin_run(self._store, self._task, job, started_s=at_s, is_shown=False)
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
                stop=self._stop,
            )
        self._ready.append((job, result, comparison))

    def _write(self) -> Events:
        """Write the runs that are ready, and tell of their ends."""
        ready, self._ready = self._ready, []
        try:
            run_ids = self._write_runs([job.position for job, _, _ in ready])
        except RunnerError:
            raise
        except Exception as error:
            if self._task.is_alone:
                raise
            if len(ready) == 1:
                yield self._fail(ready[0][0], error)
                return
            for one in ready:
                self._ready = [one]
                yield from self._write()
            return
        for job, result, comparison in ready:
            yield Progress(0.5, result.final.get("train/loss"))
            yield Ended(
                job.position, outcome_of(job, run_ids.get(job.position, ""), result), comparison
            )

    def _write_runs(self, positions: Sequence[int]) -> dict[int, str]:
        """Write the runs of some jobs, where there is a store; return their ids."""
        runs = {p: self._open[p] for p in positions if p in self._open}
        write_together(list(runs.values()))
        for position in runs:
            del self._open[position]
        return {position: run.run_id for position, run in runs.items()}

    def _fail(self, job: TaskJob, error: Exception) -> Ended:
        """End the run of a job that could not be recorded."""
        self._close(job.position, error)
        run_id = self.closed.get(job.position)
        return fail(self._store, self._task, job, reason_of(error), run_id)

    def _show(self) -> None:
        """Create the runs before they are trained."""
        if self._store is None:
            return
        for job in self._task.wanted:
            try:
                with held():  # a run that nobody knows of could not be closed
                    self._open[job.position] = begin_run(
                        self._store,
                        self._task,
                        job,
                        started_s=self._training.started_s,
                        flush_every_s=FLUSH_EVERY_S * len(self._task.wanted),
                    )
            except StoreLost:
                if self._task.is_alone:
                    raise
                return  # they are recorded when they are trained

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
        if not run.is_shown and (self._is_tried_again(error) or not _is_of_a_job(error)):
            return  # the store knows nothing of it
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


def located(experiment: Experiment, folder: str | None) -> Experiment:
    """Return an experiment whose data file is where it was meant to be, whatever this folder is."""
    if folder is None or not isinstance(experiment.data, FileData):
        return experiment
    path = str(Path(folder, expanded(experiment.data.path)))
    data = experiment.data.model_copy(update={"path": path})
    return experiment.model_copy(update={"data": data})


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
        try:
            loaded[job.position] = load_reference(job.reference, experiment, network)
        except RecordError as error:
            if task.is_alone:
                raise
            unfit.append(Ended(job.position, None, cannot_compare(str(error))))
    return loaded, unfit


def _is_of_a_job(error: BaseException | None) -> bool:
    """Tell whether an error is that of a job, and not a signal or one of the store."""
    return isinstance(error, Exception) and not isinstance(error, StoreError)


def _environment() -> str:
    """Return what a training must go on with to have the same bits."""
    return f"{environment_digest()} {code_digest()}"


def _loss(record: Record) -> float | None:
    losses = record.metrics.get("train/loss")
    return None if losses is None or not len(losses) else float(losses[0])
