"""One command at work: the jobs that are missing are run, recorded, and reported to a listener.

A single run, a sweep and a rerun are one path; what differs between them is in the request.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.config.data import FileData
from runner.config.plain import to_plain
from runner.config.search import HalvingSearch
from runner.jobs.events import (
    Crashed,
    DataRead,
    Ended,
    Finished,
    Interrupted,
    JobsEnded,
    Listener,
    Notice,
    Progress,
    Reached,
    RunStarted,
    Started,
    WorkerEvent,
)
from runner.jobs.executors.interface import DataFile, Executor
from runner.jobs.plan import Plan, PlannedJob
from runner.jobs.search import Halving, check_rungs, proposed, pruned, rung_steps
from runner.jobs.stacks import Stack, stacks
from runner.jobs.sweep.parent_runs import Parent, single_run, sweep
from runner.jobs.sweep.resume import for_plan, sweep_state, with_earlier_jobs
from runner.jobs.worker.recording import record_failure, settled
from runner.jobs.worker.states import SavedStack
from runner.jobs.worker.task import Task, TaskJob, make_task
from runner.system.errors import ConfigError, RecordError, StoreError, Terminated
from runner.system.signals import raise_pending_sigterm
from runner.tracking import address_of
from runner.training.environment import code_digest
from runner.training.outcome import Outcome
from runner.training.prepare import prepare_cached

if TYPE_CHECKING:
    from runner.jobs.rerun.request import RerunRequest
    from runner.tracking import Store, StoreAddress

# A person who presses Ctrl-C waits two seconds at most.
_UNHEARD_S = 0.3


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
    """Run the jobs of a request that are not done yet, and return the last event.

    The listener gets that one after an error too. Without a store nothing is recorded, which only a
    rerun can do without. Raises `ConfigError` or `DataError` if no job at all can be run; nothing
    has been recorded then. Raises `RunnerError` if the store fails, or the only job of a request
    that is one run.
    """
    if request.plan.problem is not None:
        raise request.plan.problem
    raise_pending_sigterm()  # the data have loaded libraries too
    if store is not None and store.backend.remark is not None:
        listener(Notice(store.backend.remark))
    started_s = time.monotonic()
    session: _Session | None = None
    with executor:
        _require_workers(request.plan, store, executor)
        try:
            with _open_parent(request, store, listener) as parent:
                session = _Session(request, parent, store, executor, listener, started_s)
                session.run_missing()
        except BaseException as error:
            has_begun = session is not None and session.has_begun
            if isinstance(error, StoreError) and store and store.backend.keeps and not has_begun:
                raise ConfigError.plain(f"{error}. Nothing was trained.") from error
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
    executor.require_workers(list(files.values()), None if store is None else store.shared_mark())


def _open_parent(
    request: Request, store: Store | None, listener: Listener
) -> AbstractContextManager[Parent]:
    """Return the context manager of what stands above the jobs."""
    if request.rerun is not None:
        from runner.jobs.sweep.rerun_run import Rerun  # and all that reads records

        return nullcontext(Rerun(store, request.plan, request.rerun))
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

    Raises `ConfigError` or `DataError` if no job at all could be run.
    """
    done: Mapping[int, Outcome] = {}
    if store is not None and not plan.first.sweep.restart:
        plan = with_earlier_jobs(store, plan)
        state = sweep_state(store, plan)
        done = state.done
        if plan.first.search.proposes and state.sweep is not None:
            told: dict[int, Outcome] = {}
            for further in proposed(plan, told):
                plan, done = further, for_plan(state, further).done
                told |= done
                if len(done) < len(plan.jobs):
                    break
    if plan.problem is not None:
        raise plan.problem
    check_rungs(plan)
    sound = [p for p in plan.asked if p not in done and plan.jobs[p].problem is None]
    return Preview(plan, done, stacks(plan, sound, n_workers), n_workers)


class _Source(NamedTuple):
    """A saved training that a job goes on from: its name, the job's key in there, and its step."""

    name: str
    key: str
    step: int
    is_of_earlier: bool = False


class _Rounds:
    """Makes the tasks of a request, round by round, and knows from where each job goes on.

    The jobs `left` are those that have not ended, by position. What they are worth at the rungs of
    a search is `reached`, by position and step.
    """

    def __init__(
        self,
        request: Request,
        parent: Parent,
        executor: Executor,
        address: StoreAddress | None,
    ) -> None:
        self._request, self._parent = request, parent
        self._executor, self._address = executor, address
        self.left = set(parent.missing)
        self.reached: dict[tuple[int, int], Reached] = {}
        # Jobs that count for one that is worked on, where most are not trained to their end.
        self.pace = 1.0
        # The saved trainings that jobs go on from, by position.
        self._sources: dict[int, _Source] = {}

    @property
    def proposes(self) -> bool:
        """Whether further jobs are proposed by what others have come to."""
        return self._request.is_sweep and self._parent.plan.first.search.proposes

    def tasks(self, refuse: Callable[[], None]) -> Iterator[list[Task]]:
        """Go through the tasks that can run at the same time: all, or those up to a rung.

        Before jobs that were proposed are run, `refuse` ends those whose data are of no use.
        """
        plan = self._parent.plan
        if isinstance(plan.first.search, HalvingSearch) and self._request.is_sweep:
            yield from self._halve(Halving(plan, self._parent.outcomes))
        elif self.proposes:
            yield from self._propose(refuse)
        else:
            yield self._all_left()

    def _all_left(self) -> list[Task]:
        """Make tasks of all jobs that are left; what was saved goes on from there."""
        self._find_sources(self.left)
        return self._stacked(self._parent.plan, self.left)

    def _propose(self, refuse: Callable[[], None]) -> Iterator[list[Task]]:
        """Ask for points and run them, batch by batch; what is recorded is told and not run."""
        for plan in proposed(self._parent.plan, self._parent.outcomes):
            self.left.update(self._parent.extend(plan))
            refuse()
            yield self._all_left()

    def _halve(self, halving: Halving) -> Iterator[list[Task]]:
        """Train all jobs to a rung, and go on with those that stay, from where they are."""
        plan, jobs = self._parent.plan, self._parent.plan.jobs
        halving.reached, saved = self.reached, self._saved()
        self.pace = 2 / (1 + halving.share)  # recording a job counts as much as training it
        ended: list[Task] = []
        for _ in range(halving.n_rungs):
            trained = set(halving.undecided()) & self.left
            self._find_sources(trained, saved, halving.step)
            yield [*ended, *self._stacked(plan, trained, halving.step)]
            if trained:
                self._forget_states_before_rung()
            at_rung = halving.decide()
            self._find_sources(at_rung, saved, at_rung.get)
            pruned_jobs = [pruned(j, at_rung[p]) if p in at_rung else j for p, j in enumerate(jobs)]
            ended = self._stacked(replace(plan, jobs=tuple(pruned_jobs)), at_rung)
        self._find_sources(self.left, saved)
        yield [*ended, *self._stacked(plan, self.left.difference(at_rung))]

    def take(self, event: Reached) -> None:
        """Take note of what a job is worth at a rung, and of what was saved of it there."""
        self.reached[event.position, event.step] = event
        if event.state is not None:
            key = self._parent.plan.jobs[event.position].key
            self._sources[event.position] = _Source(event.state, key, event.step)

    def left_of(self, task: Task) -> list[TaskJob]:
        """Return the jobs that a dead worker has left, to go on from what it had saved."""
        left = [job for job in task.jobs if job.position in self.left]
        positions = [job.position for job in left]
        self._find_sources(positions, until=lambda _: task.until, is_of_earlier=False)
        sources = map(self._sources.get, positions)
        return [
            replace(job, source=one and one[:2]) for job, one in zip(left, sources, strict=True)
        ]

    def _saved(self) -> list[SavedStack]:
        return [] if self._parent.states is None else self._parent.states.saved()

    def _find_sources(
        self,
        positions: Collection[int],
        saved: Iterable[SavedStack] | None = None,
        until: Callable[[int], int | None] = lambda _: None,
        *,
        is_of_earlier: bool = True,
    ) -> None:
        """Have jobs go on from what was saved, as far as it was trained, up to a rung."""
        jobs = {self._parent.plan.jobs[position].key: position for position in positions}
        for stack in self._saved() if saved is None else saved:
            for key in stack.keys:
                position = jobs.get(key, -1)
                known = self._sources.get(position)
                is_new = known is None or stack.step > known.step
                if position >= 0 and is_new and stack.step <= (until(position) or stack.step):
                    self._sources[position] = _Source(stack.name, key, stack.step, is_of_earlier)

    def _forget_states_before_rung(self) -> None:
        """Remove what was saved at the rung before: nothing goes on from there any more."""
        if self._parent.states is not None:
            going_on = self.left & self._sources.keys()
            self._parent.states.forget_others({self._sources[p].name for p in going_on})

    def _stacked(
        self, plan: Plan, positions: Iterable[int], until: Callable[[int], int] | None = None
    ) -> list[Task]:
        """Make tasks of the jobs that start from the same step, up to a rung."""
        alike: dict[object, list[int]] = {}
        for position in sorted(positions):
            source = self._sources.get(position)
            alike.setdefault(source and (source.step, source.is_of_earlier), []).append(position)
        return [
            self.task(stack, plan, until and until(stack[0]))
            for together in alike.values()
            for stack in stacks(plan, together, self._executor.capacity)
        ]

    def task(
        self, stack: Sequence[int], plan: Plan | None = None, until: int | None = None
    ) -> Task:
        """Make the task of some jobs, by position, up to a rung."""
        parent, request, is_remote = self._parent, self._request, self._executor.is_remote
        sources = {p: self._sources[p] for p in stack if p in self._sources}
        return make_task(
            plan or parent.plan,
            stack,
            store=self._address,
            references=request.rerun.references if request.rerun else (),
            sources={p: source[:2] for p, source in sources.items()},
            is_resumed=any(source.is_of_earlier for source in sources.values()),
            until=until,
            **self._rungs_of(parent.plan.jobs[stack[0]]),
            sweep_id=parent.run_id,
            turn=parent.turn,
            states=None if parent.states is None else parent.states.place,
            folder=str(Path.cwd()) if is_remote else None,
            is_remote=is_remote,
            is_alone=request.is_alone,
        )

    def _rungs_of(self, job: PlannedJob) -> dict[str, Any]:
        """Return by what a search compares a job, and at which rungs one that is repeated does."""
        record = self._request.rerun.search if self._request.rerun else None
        if record is None:
            return {"metric": self._parent.plan.first.ranking_metric}
        rungs = rung_steps(job, record.search) if isinstance(record.search, HalvingSearch) else ()
        return {"metric": record.metric, "rungs": tuple(rungs)}


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
        address = None if store is None else address_of(store)
        self._rounds = _Rounds(request, parent, executor, address)
        self._begun = ""
        self._was_stopped = False
        # Whether there may be results by now, or nothing is left but to sum them up.
        self.has_begun = not self._rounds.left
        # How many workers died at each job, by position.
        self._deaths: Counter[int] = Counter()
        # The tasks that workers are at, by the positions of the jobs that they have not ended.
        self._at_work: dict[int, Task] = {}
        # What workers had that died, or were given up: one that was not dead may end jobs yet.
        self._crashed: list[Task] = []

    def run_missing(self) -> None:
        """Run all jobs that are missing; without any, there may still be something to sum up."""
        with self._parent.at_work():
            if self._rounds.left or self._rounds.proposes:
                self._tell_of_file()
                self._listener(self._start())
            self._refuse()
            if (self._rounds.left or self._rounds.proposes) and not self._was_stopped:
                self._execute()
            if not self._rounds.left and self._parent.states is not None:
                self._parent.states.forget_others()
            self._listener(JobsEnded())

    def _tell_of_file(self) -> None:
        """Report how a person's file is read, by the first job, which often stands for all.

        And which rows the weights that jobs start from may have seen.
        """
        sound = [p for p in sorted(self._rounds.left) if self._parent.plan.jobs[p].problem is None]
        if not sound or self._request.rerun is not None:
            return
        job = self._parent.plan.jobs[sound[0]]
        experiment = job.experiment
        data = prepare_cached(experiment)
        if data.dataset.reading is not None or experiment.training.class_weight is not None:
            self._listener(DataRead(experiment, data, job.example))
        going_on = [self._parent.plan.jobs[p] for p in sound]
        going_on = [job for job in going_on if job.experiment.training.init_from is not None]
        if going_on:
            from runner.jobs.origin import other_rows

            for warning in dict.fromkeys(map(other_rows, going_on)):
                if warning is not None:
                    self._listener(Notice(f"Warning: {warning}."))

    def _execute(self) -> None:
        """Have the executor run the jobs that are left."""
        code_digest()  # worked out once, for all workers that are forked
        self._executor.on_turn = self._hand_out
        try:
            with self._executor:  # ended before the runs above the jobs are
                for tasks in self._rounds.tasks(self._refuse):
                    self._executor.add(tasks)
                    with closing(self._executor.events()) as events:
                        self._follow(events)
                    if self._was_stopped:
                        break
            self._close_doubles()
        finally:
            # Where the store is what failed, the error that ends all of this says so.
            with suppress(StoreError, RecordError):
                for event in self._executor.late:
                    if isinstance(event, Ended) and event.position in self._rounds.left:
                        self._take(event)
                self._take_unheard()

    def _close_doubles(self) -> None:
        """Have each job FINISHED once, though a worker that was given up has ended it, too."""
        if self._store is None or not self._executor.is_remote:
            return
        for task in self._crashed:
            self._parent.require_turn()
            keys = [job.planned.key for job in task.jobs]
            ended = [self._parent.outcomes.get(job.position) for job in task.jobs]
            known = [outcome.run_id for outcome in ended if outcome is not None]
            of_stack = self._store.experiment_id, task.sweep_id, task.stack
            self._store.sweeps.settle_stack(*of_stack, keys, known=known)

    def _hand_out(self, task: Task) -> Task:
        """Take note of a task whose turn has come."""
        self.has_begun = True
        task = self._parent.listed(task)
        self._at_work |= dict.fromkeys((job.position for job in task.jobs), task)
        return task

    def _take_unheard(self) -> None:
        """Take what workers had recorded when they were ended, and had no time to say."""
        if self._store is None or not self._request.is_sweep:
            return
        self._parent.require_turn()
        until_s = time.monotonic() + _UNHEARD_S
        for task in {id(task): task for task in self._at_work.values()}.values():
            if time.monotonic() < until_s:  # the next start finds it, too
                for event in settled(
                    self._store, task.only(self._rounds.left), self._parent.is_new
                ):
                    self._take(event)

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
                case Reached():
                    self._rounds.take(event)
                case Progress():
                    self._listener(Progress(event.n * self._rounds.pace, event.loss))
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
        if is_signal or not self._request.is_alone:
            self._listener(self._finished(was_interrupted=is_signal))

    def finish(self) -> Finished:
        """Report what came of all jobs."""
        finished = self._finished(was_interrupted=False)
        self._listener(finished)
        return finished

    def _finished(self, *, was_interrupted: bool) -> Finished:
        parent, duration_s = self._parent, time.monotonic() - self._started_s
        asked = self._request.rerun
        outcomes = dict(sorted(parent.outcomes.items()))
        return Finished(
            plan=parent.plan,
            outcomes=outcomes,
            comparisons=dict(sorted(parent.comparisons.items())),
            run_id=parent.run_id,
            where=None if self._store is None else self._store.where,
            uri=None if self._store is None else self._store.address.shown,
            trained_on=parent.trained_on,
            duration_s=duration_s if parent.missing else None,
            was_stopped=self._was_stopped and len(outcomes) < len(parent.plan.jobs),
            was_interrupted=was_interrupted,
            search=asked.decided_again(outcomes, self._rounds.reached) if asked else None,
            summary=parent.summary,
        )

    def _start(self) -> Started:
        parent = self._parent
        if self._request.is_alone:
            (job,) = parent.plan.jobs
            return Started(job.name, job.shape.settings.n_steps if job.shape else 1, "steps")
        asked = self._request.rerun
        name = asked.parent.name if asked and asked.parent else parent.plan.sweep_name
        n_jobs = parent.plan.n_jobs if self._rounds.proposes else len(parent.missing)
        return Started(name, n_jobs)

    def _take(self, event: Ended) -> None:
        """Take note of a job that has ended."""
        self._rounds.left.discard(event.position)
        self._at_work.pop(event.position, None)
        self._parent.take(event)
        self._was_stopped = self._was_stopped or self._fails_fast(event)
        self._listener(event)

    def _refuse(self) -> None:
        """End the jobs whose data are of no use."""
        jobs = self._parent.plan.jobs
        for position in [p for p in sorted(self._rounds.left) if jobs[p].problem is not None]:
            if self._was_stopped:
                return
            self._listener(Progress(1))
            problem = str(jobs[position].problem)
            if self._request.rerun is not None:
                from runner.jobs.rerun.comparison import cannot_compare

                self._take(Ended(position, None, cannot_compare(problem)))
            else:
                task = self._parent.listed(self._rounds.task((position,)))
                self._take(record_failure(self._store, task, task.jobs[0], problem))

    def _fails_fast(self, event: Ended) -> bool:
        has_failed = event.outcome is not None and event.outcome.status == "FAILED"
        return has_failed and self._request.is_sweep and self._request.plan.first.sweep.fail_fast

    def _recover(self, crash: Crashed) -> None:
        """Try the jobs of a dead worker again, in halves; one that has killed enough fails."""
        self._parent.require_turn()
        self._crashed.append(crash.task)
        if self._store is not None:
            # What it had recorded by then is done, though it could not say so any more.
            for event in settled(self._store, crash.task.only(self._rounds.left)):
                self._take(event)
        jobs = self._rounds.left_of(crash.task)
        if not jobs:
            return
        self._deaths.update(job.position for job in jobs)
        n_deaths = max(self._deaths[job.position] for job in jobs)
        most = self._executor.most_deaths
        if len(crash.task.jobs) == 1 and n_deaths >= most:
            self._take(record_failure(self._store, crash.task, jobs[0], crash.reason))
            return
        # One of them may have killed the worker: the last that it may cost is to be its own.
        size = 1 if self._executor.is_remote and n_deaths + 1 >= most else (len(jobs) + 1) // 2
        parts = [jobs[start : start + size] for start in range(0, len(jobs), size)]
        tasks = [replace(crash.task, jobs=tuple(part), is_resumed=False) for part in parts]
        self._executor.add(tasks, first=True)
