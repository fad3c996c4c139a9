"""One command at work: the jobs that are missing are run, recorded, and reported to a listener.

A single run, a sweep and a rerun are one path; what differs between them is in the request.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.data import FileData
from runner.config.plain import to_plain
from runner.jobs.events import (
    Crashed,
    DataRead,
    Ended,
    Finished,
    Interrupted,
    JobsEnded,
    Listener,
    Measured,
    Notice,
    Progress,
    RunStarted,
    Started,
    WorkerEvent,
)
from runner.jobs.executors.interface import DataFile, Executor
from runner.jobs.plan import Plan
from runner.jobs.rerun.comparison import cannot_compare
from runner.jobs.rerun.request import RerunRequest
from runner.jobs.stacks import Stack, stacks
from runner.jobs.sweep.parent_runs import Parent, rerun, single_run, sweep
from runner.jobs.sweep.resume import sweep_state, with_earlier_jobs
from runner.jobs.worker.recording import record_failure, settled
from runner.jobs.worker.task import Task, make_task
from runner.system.errors import RecordError, StoreError, Terminated
from runner.system.signals import raise_pending_sigterm
from runner.tracking import address_of
from runner.training.environment import code_digest
from runner.training.outcome import Outcome
from runner.training.prepare import prepared

if TYPE_CHECKING:
    from runner.tracking import Store


@dataclass(frozen=True)
class Request:
    """What a session is asked to run, and what that repeats, if anything.

    A sweep may be one of a single job. A run of its own gets figures and a loadable model.
    """

    plan: Plan
    is_sweep: bool = False
    rerun: RerunRequest | None = None

    @property
    def is_alone(self) -> bool:
        """Whether it is one run, in which whatever fails is raised."""
        return not self.is_sweep and (self.rerun is None or self.rerun.parent is None)


def run(request: Request, store: Store | None, executor: Executor, listener: Listener) -> Finished:
    """Run the jobs of a request that are not done yet.

    Parameters
    ----------
    request : Request
    store : Store or None
        Where it is recorded; None records nothing, which only a rerun can do without.
    executor : Executor
    listener : callable
        Called with each event.

    Returns
    -------
    Finished
        The last event: all outcomes and comparisons. The listener gets it after an error too.

    Raises
    ------
    ConfigError, DataError
        If no job at all can be run; nothing has been recorded then.
    RunnerError
        If the store fails, or the only job of a request that is one run.
    """
    if request.plan.problem is not None:
        raise request.plan.problem
    raise_pending_sigterm()  # the data have loaded libraries too
    if store is not None and store.backend.remark is not None:
        listener(Notice(store.backend.remark))
    started_s = time.monotonic()
    session: _Session | None = None
    _require_workers(request.plan, store, executor)
    try:
        with _open_parent(request, store, listener) as parent:
            session = _Session(request, parent, store, executor, listener, started_s)
            session.run_missing()
    except BaseException as error:
        if session is not None:
            session.end_early(error)
        raise
    return session.finish()


def _require_workers(plan: Plan, store: Store | None, executor: Executor) -> None:
    """Raise `RunnerError` if a job could not be run, or not with the same result, by any worker."""
    if not executor.is_remote:
        return
    if store is not None:
        store.require_shared_artifacts()
    folder = str(Path.cwd())
    files = {
        job.data_digest: DataFile(to_plain(job.experiment), folder, job.data_digest)
        for job in (plan.jobs[position] for position in plan.asked)
        if isinstance(job.experiment.data, FileData) and job.problem is None
    }
    executor.require_workers(list(files.values()))


def _open_parent(
    request: Request, store: Store | None, listener: Listener
) -> AbstractContextManager[Parent]:
    """Return the context manager of what stands above the jobs."""
    if request.rerun is not None:
        return nullcontext(rerun(store, request.plan, request.rerun))
    if store is None:
        raise ValueError("only a rerun can do without a store")
    if request.is_sweep:
        return sweep(store, request.plan, listener)
    return nullcontext(single_run(store, request.plan))


@dataclass(frozen=True)
class Preview:
    """What a sweep would do, with the jobs that earlier commands gave it.

    `done` is not to be run again, and `stacks` would train together, both by position in the plan.
    """

    plan: Plan
    done: Mapping[int, Outcome]
    stacks: Sequence[Stack]
    n_workers: int


def preview(plan: Plan, store: Store | None, n_workers: int) -> Preview:
    """Return what a sweep would do, and do nothing of it.

    Raises
    ------
    ConfigError, DataError
        If no job at all could be run.
    """
    done: Mapping[int, Outcome] = {}
    if store is not None and not plan.first.sweep.restart:
        plan = with_earlier_jobs(store, plan)
        done = sweep_state(store, plan).done
    if plan.problem is not None:
        raise plan.problem
    sound = [p for p in plan.asked if p not in done and plan.jobs[p].problem is None]
    return Preview(plan, done, stacks(plan, sound, n_workers), n_workers)


class _Session:
    """A request on its way through an executor."""

    def __init__(
        self,
        request: Request,
        parent: Parent,
        store: Store | None,
        executor: Executor,
        listener: Listener,
        started_s: float,
    ) -> None:
        self._request, self._parent, self._store = request, parent, store
        self._executor, self._listener, self._started_s = executor, listener, started_s
        self._address = None if store is None else address_of(store)
        self._left = set(parent.missing)
        self._begun = ""
        self._was_stopped = False
        # How many workers died at each job, by position.
        self._deaths: Counter[int] = Counter()

    def run_missing(self) -> None:
        """Run all jobs that are missing; without any, there may still be something to sum up."""
        jobs = self._parent.plan.jobs
        with self._parent.at_work():
            if self._left:
                self._tell_of_file()
                self._listener(self._start())
            self._refuse([p for p in sorted(self._left) if jobs[p].problem is not None])
            if self._left and not self._was_stopped:
                self._execute()
            self._listener(JobsEnded())

    def _tell_of_file(self) -> None:
        """Report how a person's file is read: by the first job, which often stands for all."""
        sound = [p for p in sorted(self._left) if self._parent.plan.jobs[p].problem is None]
        if not sound or self._request.rerun is not None:
            return
        experiment = self._parent.plan.jobs[sound[0]].experiment
        data = prepared(experiment)
        if data.dataset.reading is not None or experiment.training.class_weight is not None:
            self._listener(DataRead(experiment, data))

    def _execute(self) -> None:
        """Have the executor run the jobs that are left."""
        plan = self._parent.plan
        saved = [s for s in self._parent.saved_stacks() if self._left.intersection(s)]
        rest = sorted(self._left.difference(*saved))
        n_workers = self._executor.capacity
        code_digest()  # worked out once, for all workers that are forked
        self._executor.add([self._task(s) for s in [*saved, *stacks(plan, rest, n_workers)]])
        try:
            with self._executor, closing(self._executor.events()) as events:
                self._follow(events)
        finally:
            # Where the store is what failed, the error that ends all of this says so.
            with suppress(StoreError):
                for event in self._executor.late:
                    if isinstance(event, Ended) and event.position in self._left:
                        self._take(event)
        if self._was_stopped and self._store is not None:
            self._store.close_abandoned_runs()
            self._take_recorded(self._left)

    def _follow(self, events: Iterable[WorkerEvent | Crashed | Notice]) -> None:
        """Take what ends, and pass the rest on, until all is done or a failure stops the sweep."""
        for event in events:
            match event:
                case Ended():
                    self._take(event)
                    if self._was_stopped:
                        return
                case Crashed():
                    self._recover(event)
                case Measured():
                    duration_s = time.monotonic() - self._started_s
                    self._listener(replace(event, duration_s=duration_s))
                case RunStarted():
                    self._begun = event.run_id
                case _:
                    self._listener(event)

    def end_early(self, error: BaseException) -> None:
        """Report what came of it by the time that an error or a signal ended it."""
        parent = self._parent
        is_signal = isinstance(error, KeyboardInterrupt | Terminated)
        if self._request.is_sweep or (is_signal and parent.can_go_on()):
            self._listener(Interrupted())
        is_run = self._request.is_alone and self._request.rerun is None
        if is_run and is_signal and not parent.outcomes:
            (job,) = parent.plan.jobs
            killed = Outcome(job.name, self._begun, "KILLED", job.varied, {}, "interrupted", 0.0)
            parent.outcomes[0] = killed
        if is_signal and self._request.is_sweep:
            with suppress(StoreError, RecordError):  # what workers recorded and had no time to say
                parent.outcomes |= parent.recorded()
        if is_signal or not self._request.is_alone:
            self._listener(self._finished(was_interrupted=is_signal))

    def finish(self) -> Finished:
        """Report what came of all jobs."""
        finished = self._finished(was_interrupted=False)
        self._listener(finished)
        return finished

    def _finished(self, *, was_interrupted: bool) -> Finished:
        parent, duration_s = self._parent, time.monotonic() - self._started_s
        outcomes = dict(sorted(parent.outcomes.items()))
        if self._request.is_alone:
            outcomes = {p: replace(o, duration_s=duration_s) for p, o in outcomes.items()}
        return Finished(
            plan=parent.plan,
            outcomes=outcomes,
            comparisons=dict(sorted(parent.comparisons.items())),
            run_id=parent.run_id,
            where=None if self._store is None else self._store.where,
            uri=None if self._store is None else self._store.address.shown,
            trained_on=parent.trained_on,
            has_model=parent.has_model,
            duration_s=duration_s if parent.missing else None,
            was_stopped=self._was_stopped and len(outcomes) < len(parent.plan.jobs),
            was_interrupted=was_interrupted,
            expected=parent.expected,
        )

    def _start(self) -> Started:
        parent = self._parent
        if self._request.is_alone:
            (job,) = parent.plan.jobs
            return Started(job.name, job.shape.settings.n_steps if job.shape else 1, "steps")
        asked = self._request.rerun
        name = asked.parent.name if asked and asked.parent else parent.plan.sweep_name
        return Started(name, len(parent.missing))

    def _task(self, stack: Sequence[int]) -> Task:
        parent, request, is_remote = self._parent, self._request, self._executor.is_remote
        return make_task(
            parent.plan,
            stack,
            store=self._address,
            wanted=self._left,
            parents=parent.group_runs,
            references=request.rerun.references if request.rerun else (),
            sweep_id=parent.run_id,
            states=None if parent.states is None or is_remote else str(parent.states),
            folder=str(Path.cwd()) if is_remote else None,
            is_remote=is_remote,
            is_alone=request.is_alone,
        )

    def _take(self, event: Ended) -> None:
        """Take note of a job that has ended."""
        self._left.discard(event.position)
        self._parent.take(event)
        self._was_stopped = self._was_stopped or self._fails_fast(event)
        self._listener(event)

    def _refuse(self, positions: Iterable[int]) -> None:
        """End the jobs whose data are of no use."""
        for position in positions:
            if self._was_stopped:
                return
            self._listener(Progress(1))
            problem = str(self._parent.plan.jobs[position].problem)
            if self._request.rerun is not None:
                self._take(Ended(position, None, cannot_compare(problem)))
            else:
                task = self._task((position,))
                self._take(record_failure(self._store, task, task.jobs[0], problem))

    def _fails_fast(self, event: Ended) -> bool:
        has_failed = event.outcome is not None and event.outcome.status == "FAILED"
        return has_failed and self._request.is_sweep and self._request.plan.first.sweep.fail_fast

    def _recover(self, crash: Crashed) -> None:
        """Give each job of a dead worker another try, alone; one that has killed enough fails."""
        if self._store is not None:
            # What it had recorded by then is done, though it could not say so any more.
            for event in settled(self._store, crash.task.only(self._left)):
                self._take(event)
        jobs = [job for job in crash.task.jobs if job.position in self._left]
        self._deaths.update(job.position for job in jobs)
        was_alone = len(crash.task.jobs) == 1
        for job in jobs:
            if was_alone and self._deaths[job.position] >= self._executor.most_deaths:
                self._take(record_failure(self._store, crash.task, job, crash.reason))
            else:
                # One of them may have killed the worker.
                self._executor.add([crash.task.only({job.position})], first=True)

    def _take_recorded(self, positions: set[int]) -> None:
        recorded = self._parent.recorded()
        for position in sorted(positions & recorded.keys()):
            self._take(Ended(position, recorded[position]))
