"""Trains one stack of jobs and records their runs: the one function that every executor runs.

A generator of events. Whatever fails in a stack of many is tried again job by job, so that a bad
job costs itself alone.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner.config.data import FileData
from runner.config.schema import Experiment
from runner.jobs.events import Ended, Progress, Reached, Resumed, RunStarted, WorkerEvent
from runner.jobs.search import pruned
from runner.jobs.worker.recording import (
    Stop,
    begin_run,
    close_run,
    end_run,
    epoch_of,
    failed,
    never,
    outcome_of,
    reason_of,
    record_failure,
    settled,
)
from runner.jobs.worker.states import open_states
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
from runner.system.paths import expanded
from runner.system.signals import deferred_signals
from runner.tracking import FLUSH_EVERY_S, close_again, store_at, write_together
from runner.training.environment import code_digest, environment_digest
from runner.training.prepare import Learned, Prepared, prepared_unchanged, require_fit
from runner.training.train import Result, StackTraining

if TYPE_CHECKING:
    from runner.jobs.rerun.comparison import Comparison
    from runner.jobs.rerun.verify import LoadedReference
    from runner.tracking import RunWriter, Store, StoreAddress
    from softnet import Record

Events = Generator[WorkerEvent, None, None]

# Runs of a sweep appear in the store when they are trained, unless that takes long, and there are
# few enough of them that showing them does not take longer than training them.
_SHOWN_AFTER_S = 5.0
_SHOWN_AT_MOST = 32
# However few they are by then, so that a kill costs little and memory holds little of large ones.
_WRITTEN_EVERY_S, _WRITTEN_BYTES = 1.0, 8_000_000
# A run longer than a minute outlives a kill; one that takes seconds to save, some minutes.
_SAVED_EVERY_S = 30.0


def run_stack(task: Task, stop: Stop = never) -> Events:
    """Train the jobs of a task as one stack, and record one after the other; one `Ended` for each.

    The store is opened and the data are read here; both stay in memory for further tasks that need
    the same. Between two records, and before a run is FINISHED, `stop` is asked whether to leave
    the task as it is, for workers that no signal reaches. Raises `RunnerError` if the store fails,
    or the only job of a task that is alone. Raises `Terminated` if it has to stop; what was open is
    KILLED.
    """
    store = None if task.store is None else store_at(task.store)
    if store is not None and task.is_remote:
        store.backend.keeps = False  # on the disk of another machine nobody would look for it
        if task.turn is not None and store.is_lost(task.turn):
            raise Terminated  # what is RUNNING is another's
        done = settled(store, task)
        yield from done
        task = task.only({j.position for j in task.jobs} - {event.position for event in done})
    if task.jobs:
        yield from _run_missing(task, store, stop)


def _run_missing(task: Task, store: Store | None, stop: Stop) -> Events:
    """Run the jobs of a task, none of which has been done."""
    planned = task.jobs[0].planned
    experiment = located(planned.experiment, task.folder)
    learned = partial(_learned_before, task)
    try:
        prepared = prepared_unchanged(experiment, planned.data_digest, learned)
    except (ConfigError, DataError) as error:
        if task.is_alone:
            raise
        for job in task.jobs:
            yield record_failure(store, task, job, str(error))
        return
    references, not_comparable = _load_references(task, prepared)
    yield from not_comparable
    task = task.only({j.position for j in task.jobs} - {event.position for event in not_comparable})
    if not task.jobs:
        return
    stack = _StackRun(task, store, prepared, references, stop)
    try:
        with stack:
            yield from stack.train()
            yield from stack.record() if task.until is None else stack.report()
    except RunnerError:
        raise
    except Exception as error:
        if task.is_alone:
            raise
        if len(task.jobs) == 1:
            yield stack.fail(task.jobs[0], error)
            return
        for job in task.jobs:
            yield from _run_missing(task.only({job.position}), store, stop)


class _StackRun:
    """A stack from its first step to its last record; on leaving it, each open run is ended."""

    def __init__(
        self,
        task: Task,
        store: Store | None,
        prepared: Prepared,
        references: dict[int, LoadedReference],
        stop: Stop,
    ) -> None:
        self._task, self._store, self._prepared = task, store, prepared
        self._references, self._stop = references, stop
        self._training: StackTraining
        # By position: runs that are open, and the ids of those that an error has ended.
        self._open: dict[int, RunWriter] = {}
        self._failed: dict[int, str] = {}
        self._ready: list[tuple[TaskJob, Result, Comparison | None]] = []
        self._is_trained = False
        self._n_logged = 0
        self._due_s = time.monotonic() + _SAVED_EVERY_S
        self._states, self._saved = open_states(task.states, store), ""

    def _is_given_up(self) -> bool:
        """Tell whether the jobs may be another's by now: they are not to be ended here."""
        if self._store is None or self._task.turn is None:
            return self._stop()
        return self._stop() or self._store.is_lost(self._task.turn)

    def _from_the_start(self) -> StackTraining:
        task = self._task
        experiments = [job.planned.experiment for job in task.jobs]
        if experiments[0].training.init_from is None:  # as those of all jobs of a stack
            return StackTraining(self._prepared, experiments)
        from runner.jobs.origin import initial_weights

        places = [_place(task, job) for job in task.jobs]
        pairs = zip(experiments, places, strict=True)
        initial = [initial_weights(e, self._prepared, place) for e, place in pairs]
        return StackTraining(self._prepared, experiments, initial)

    def __enter__(self) -> Self:
        self._training = self._from_the_start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, *_: object) -> None:
        """End what is open: KILLED by a signal or for another try of its own, else FAILED."""
        is_of_store = isinstance(error, StoreError)
        is_recorded = error is None and self._task.until is None
        if is_recorded or (isinstance(error, Exception) and not is_of_store):
            # All is recorded; or what raised once would raise again.
            self._forget_saved()
        if not is_of_store and not self._is_given_up():
            with suppress(StoreError):
                self._write_runs(self._ready)
        for position in list(self._open):
            self._close(position, error)

    def train(self) -> Events:
        """Train to the end; what takes long appears in the store and is saved on the way."""
        n_jobs = len(self._task.jobs)
        if self._task.is_alone:
            self._show()
            yield from (RunStarted(run.run_id) for run in self._open.values())
        if self._resume() and self._task.is_resumed:
            step = self._training.step
            yield Resumed(step, epoch_of(self._task.jobs[0].planned, self._prepared, step))
        training, started_s = self._training, time.monotonic()
        # What an earlier command has done counts as done now; a rung of this one was counted.
        done, until = 0 if self._task.is_resumed else training.step, self._task.until
        rungs = list(self._task.rungs)
        # A run of its own is counted in steps; of others, training is the first half of a job.
        per_step = 1.0 if self._task.is_alone else n_jobs / 2 / training.n_steps
        for record in training.until(until or training.n_steps):
            if self._stop():
                raise Terminated
            takes_long = time.monotonic() - started_s > _SHOWN_AFTER_S
            if takes_long and not self._open and n_jobs <= _SHOWN_AT_MOST and until is None:
                self._show()
            self._log()
            self._save()
            while rungs and training.step >= rungs[0]:
                yield from self._reached(rungs.pop(0))
            yield Progress((training.step - done) * per_step, _loss(record))
            done = training.step
        for rung in rungs:
            yield from self._reached(rung)
        # What stops early has done its part; what a search has stopped counts as far as it came.
        if any(job.planned.experiment.training.pruned_at_step is None for job in self._task.jobs):
            yield Progress(((until or training.n_steps) - done) * per_step)

    def report(self) -> Events:
        """Save a training at a rung, and tell what each job is worth there."""
        self._save(is_due=True)
        yield from self._reached(self._task.until or 0)

    def _reached(self, step: int) -> Events:
        metric = self._task.metric.rpartition("/")[2]
        values = self._training.values((metric, "loss"))
        for job, measured in zip(self._task.jobs, values, strict=True):
            value, loss = measured[metric], measured["loss"]
            yield Reached(job.position, step, value, loss, self._saved or None)

    def record(self) -> Events:
        """Record the jobs, as many at a time as the store takes best."""
        results = self._training.results()
        self._is_trained = True
        at_once = 1 if self._store is None else self._store.backend.runs_at_once
        n_bytes, ready_s = 0, time.monotonic()
        for job, result in zip(self._task.jobs, results, strict=True):
            if self._is_given_up():
                raise Terminated
            try:
                yield from self._finish(job, result)
            except RunnerError:
                raise
            except Exception as error:
                if self._task.is_alone:
                    raise
                yield self.fail(job, error)
                continue
            run = self._open.get(job.position)
            n_bytes += 0 if run is None else run.n_bytes
            is_late = time.monotonic() - ready_s > _WRITTEN_EVERY_S or n_bytes > _WRITTEN_BYTES
            if len(self._ready) >= at_once or is_late:
                yield from self._write()
                n_bytes, ready_s = 0, time.monotonic()
        yield from self._write()

    def _finish(self, job: TaskJob, result: Result) -> Events:
        """Make a job ready to be written, compared with its reference where it has one."""
        if result.failure and job.position not in self._open:
            job = replace(job, planned=pruned(job.planned, None))  # it ended by itself
        reference = self._references.get(job.position)
        comparison = None if reference is None else reference.compare(result, self._prepared)
        if self._store is not None:
            if job.position not in self._open:
                self._begin(job, result.started_s, is_shown=False)
                for (step, metrics), at_s in zip(result.history, result.times_s, strict=True):
                    self._open[job.position].log_metrics(step, metrics, at_s)
            yield from end_run(
                self._open[job.position],
                self._store,
                job.planned,
                self._prepared,
                result,
                is_alone=self._task.is_alone,
                last_tags={} if comparison is None else comparison.tags,
                stop=self._is_given_up,
            )
        self._ready.append((job, result, comparison))

    def _write(self) -> Events:
        """Write the runs that are ready, and tell of their ends."""
        ready, self._ready = self._ready, []
        try:
            run_ids = self._write_runs(ready)
        except RunnerError:
            raise
        except Exception as error:
            if self._task.is_alone:
                raise
            if len(ready) == 1:
                yield self.fail(ready[0][0], error)
                return
            for one in ready:
                self._ready = [one]
                yield from self._write()
            return
        for job, result, comparison in ready:
            if not self._task.is_alone:
                yield Progress(0.5, result.final.get("train/loss"))
            outcome = outcome_of(job.planned, run_ids.get(job.position, ""), result, self._prepared)
            yield Ended(job.position, outcome, comparison)

    def _write_runs(self, ready: Sequence[tuple[TaskJob, object, object]]) -> dict[int, str]:
        """Write the runs of some jobs, where there is a store; return their ids."""
        runs = {j.position: self._open[j.position] for j, *_ in ready if j.position in self._open}
        write_together(list(runs.values()))
        for position in runs:
            del self._open[position]
        run_ids = {position: run.run_id for position, run in runs.items()}
        if self._store is not None and self._is_given_up():
            # It may have been stopped just before it wrote, and its jobs be another's by now.
            close_again(self._store.backend, run_ids.values())
        return run_ids

    def fail(self, job: TaskJob, error: Exception) -> Ended:
        """End a job that an error has ended, as a run that says so."""
        self._close(job.position, error)
        if job.position in self._failed:
            return failed(job, reason_of(error), self._failed[job.position])
        return record_failure(self._store, self._task, job, reason_of(error))

    def _begin(self, job: TaskJob, started_s: float, *, is_shown: bool) -> None:
        flush_every_s = FLUSH_EVERY_S * len(self._task.jobs)
        if self._store is not None:
            with deferred_signals():  # a run that nobody knows of could not be closed
                self._open[job.position] = begin_run(
                    self._store, self._task, job, started_s, flush_every_s, is_shown=is_shown
                )

    def _show(self) -> None:
        """Create the runs before they are trained."""
        for job in self._task.jobs:
            try:
                self._begin(job, self._training.started_s, is_shown=True)
            except StoreLost as error:
                if self._task.is_alone:
                    raise ConfigError.plain(f"{error}. Nothing was trained.") from error
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

    def _save(self, *, is_due: bool = False) -> None:
        """Save the training, if it is due and there is a place for it."""
        began_s = time.monotonic()
        if self._states is None or not (is_due or began_s >= self._due_s):
            return
        step, keys = self._training.step, [job.planned.key for job in self._task.jobs]
        state = {"environment": _environment(), "keys": keys, "training": self._training.state()}
        # A disk that is full costs the time that the state would save; a record will say so.
        with suppress(StoreError):
            name = self._states.save(keys, step, state)
            if name != self._saved:
                self._forget_saved()
            self._saved = name
        took_s = time.monotonic() - began_s
        self._due_s = time.monotonic() + _SAVED_EVERY_S * max(took_s, 1.0)

    def _forget_saved(self) -> None:
        if self._states is not None and self._saved:
            self._states.forget(self._saved)

    def _resume(self) -> bool:
        """Go on from saved states, if there are any of the same bits."""
        sources = [job.source for job in self._task.jobs if job.source is not None]
        if self._states is None or not sources:
            return False
        try:
            parts = []
            for name, group in groupby(sources, key=itemgetter(0)):
                state = self._states.load(name)
                if state.get("environment") != _environment():
                    return False
                parts.append((state["training"], [state["keys"].index(key) for _, key in group]))
            self._training.restore(*parts)
        # A torn or foreign file costs the time that it would have saved, nothing else.
        except (RunnerError, KeyError, TypeError, ValueError):
            self._training = self._from_the_start()
            return False
        return True

    def _close(self, position: int, error: BaseException | None) -> None:
        """End the run of a job, if it is open, as what ended it says."""
        run = self._open.pop(position, None)
        is_ours = isinstance(error, Exception) and not isinstance(error, RunnerError)
        n_jobs = len(self._task.jobs)
        # A job of a stack that failed has another try, with a run of its own.
        is_tried_again = is_ours and not self._is_trained and not self._task.is_alone and n_jobs > 1
        is_of_the_job = isinstance(error, Exception) and not isinstance(error, StoreError)
        if run is None or (not run.is_shown and (is_tried_again or not is_of_the_job)):
            return  # the store knows nothing of it
        # Where the store itself is what failed, the next start closes the run.
        with suppress(StoreError):
            if is_tried_again:
                run.kill("the stack that it was trained in failed; it is tried again alone")
            elif error is not None:
                close_run(run, error)
            self._failed[position] = run.run_id


def _learned_before(task: Task) -> Learned:
    """Return what the run has learned of its data that the jobs start from, as all of a stack."""
    from runner.jobs.origin import learned_before  # and all that reads records

    return learned_before(task.jobs[0].planned.experiment, _place(task, task.jobs[0]))


def _place(task: Task, job: TaskJob) -> StoreAddress | None:
    """Return the store of the run that a job starts from."""
    return job.reference.place if job.reference else task.store


def located(experiment: Experiment, folder: str | None) -> Experiment:
    """Return an experiment whose data files are where they were meant to be, not in this folder."""
    data = experiment.data
    if folder is None or not isinstance(data, FileData):
        return experiment
    paths = {key: getattr(data, key) for key in ("path", "test_path", "val_path")}
    changes = {k: str(Path(folder, expanded(path))) for k, path in paths.items() if path}
    return experiment.model_copy(update={"data": data.model_copy(update=changes)})


def _load_references(
    task: Task, prepared: Prepared
) -> tuple[dict[int, LoadedReference], list[Ended]]:
    """Read the records that jobs repeat, by position; those of no use end their jobs."""
    loaded: dict[int, LoadedReference] = {}
    not_comparable: list[Ended] = []
    for job in task.jobs:
        if job.reference is None or not job.reference.compares:
            continue
        from runner.jobs.rerun.comparison import cannot_compare
        from runner.jobs.rerun.verify import load_reference

        experiment = job.planned.experiment
        network = require_fit(experiment, prepared).network
        try:
            loaded[job.position] = load_reference(job.reference, experiment, network)
        except RecordError as error:
            if task.is_alone:
                raise
            not_comparable.append(Ended(job.position, None, cannot_compare(str(error))))
    return loaded, not_comparable


def _environment() -> str:
    """Return what a training must go on with to have the same bits."""
    return f"{environment_digest()} {code_digest()}"


def _loss(record: Record) -> float | None:
    losses = record.metrics.get("train/loss")
    return None if losses is None or not len(losses) else float(losses[0])
