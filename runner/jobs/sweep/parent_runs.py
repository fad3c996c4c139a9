"""What stands above the jobs of a session: nothing, or a sweep with its groups.

A parent says which jobs are missing, takes what ends, and gives its own run an honest end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from sys import intern
from typing import TYPE_CHECKING

from runner.jobs.events import Ended, Listener, Notice, SweepOpened, Waiting
from runner.jobs.plan import PLAN_FOLDER, Plan
from runner.jobs.sweep.groups import Groups
from runner.jobs.sweep.resume import SweepState, for_plan, sweep_state, with_earlier_jobs
from runner.jobs.sweep.state_folder import SweepFolder
from runner.jobs.worker.recording import close_run
from runner.jobs.worker.states import States, open_states
from runner.jobs.worker.task import Task
from runner.system.errors import (
    ConfigError,
    DataError,
    MissingError,
    RecordError,
    StoreError,
    StoreLost,
)
from runner.system.process import command_line
from runner.system.signals import deferred_signals
from runner.tracking import SEARCH_NAME, SUMMED_UP, SweepSummary, write_together
from runner.training.outcome import Outcome
from runner.training.prepare import prepare_cached

if TYPE_CHECKING:
    from runner.jobs.rerun.comparison import Comparison
    from runner.tracking import Lease, RecordedSweep, RunWriter, Store, Turn

N_JOBS, COMMAND = "runner.n_jobs", "runner.command"


class Parent:
    """What stands above the jobs of a session. A single run has nothing above it: this class.

    Its `plan` has the jobs that earlier commands gave the sweep, too; `run_id` is that of the sweep
    or the rerun, while it is open. By position in the plan, `outcomes` are of the jobs that have
    ended, `comparisons` with the records that jobs repeat, and `missing` the jobs that are to be
    run.
    """

    def __init__(self, plan: Plan, states: States | None = None) -> None:
        self.plan = plan
        self.run_id: str | None = None
        self.outcomes: dict[int, Outcome] = {}
        self.comparisons: dict[int, Comparison] = {}
        self.missing = plan.asked
        self.states = states
        self.summary = SweepSummary()
        self.trained_on = ""
        # What has to be held for as long as anything is recorded; None where nobody else records.
        self.turn: Turn | None = None

    def require_turn(self) -> None:
        """Raise `StoreError` if another process may be at the same jobs by now."""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have the run of the parent open while its jobs are run, and give it an honest end."""
        yield

    def take(self, event: Ended) -> None:
        """Take note of a job that has ended."""
        if event.outcome is not None:
            self.outcomes[event.position] = event.outcome
        if event.comparison is not None:
            self.comparisons[event.position] = event.comparison

    def listed(self, task: Task) -> Task:
        """Return a task whose turn has come, its jobs listed where they belong by now."""
        return task

    def is_new(self, run_id: str) -> bool:  # noqa: ARG002  (of a sweep it matters)
        """Tell whether a job's run is of this command, and not of an earlier one."""
        return True

    def extend(self, plan: Plan) -> list[int]:
        """Go on with a plan that has further jobs; return the positions of those to be run."""
        raise NotImplementedError

    def can_go_on(self) -> bool:
        """Tell whether the same command would go on from here, and not from the start."""
        return self.states is not None and bool(self.states.saved())


class _Sweep(Parent):
    """A sweep: done is what the store says."""

    def __init__(
        self,
        store: Store,
        plan: Plan,
        state: SweepState,
        folder: SweepFolder,
        listener: Listener,
        lease: Lease | None,
    ) -> None:
        super().__init__(plan)
        self.outcomes = dict(state.done)
        self.missing = [position for position in plan.asked if position not in self.outcomes]
        self._store, self._state, self._folder = store, state, folder
        self._listener, self._lease = listener, lease
        self.turn = None if lease is None else lease.turn
        self._groups: Groups | None = None
        self.trained_on = state.sweep.trained_on if state.sweep else ""
        self._run: RunWriter | None = None
        self.summary = SweepSummary(search=plan.first.search.name)
        self._n_stored = 0  # jobs of the plan on its run
        self._started_s = time.monotonic()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        sweep = self._state.sweep
        # Without a job too: an interrupt may have left nothing but the summing up to be done.
        may_grow = self.plan.first.search.proposes
        if not self.missing and sweep is not None and not may_grow and self._is_whole(sweep):
            self.run_id, self.summary = sweep.run_id, sweep.summary
            yield
            return
        self.require_turn()
        with recorded(self._store, self._begin, self._duration, self.require_turn) as run:
            self.run_id, self._run = run.run_id, run
            place = run.run_id if self._store.is_shared else str(self._folder.states)
            self.states = open_states(place, self._store)
            with self._grouped(run):
                yield
            if self._store.n_unrecorded:
                run.set_tags(self._duration())
                run.kill("results wait on disk until the server answers")
                return
            self.require_turn()
            from runner.jobs.sweep.results import store_results

            self.summary = store_results(
                run, self._store, self.plan, self.outcomes, self._listener, self.trained_on
            )
            ending = {**self.summary.tags, SUMMED_UP: "true", N_JOBS: str(self.plan.n_jobs)}
            run.set_tags(self._duration() | ending)
            n_failed = sum(outcome.status == "FAILED" for outcome in self.outcomes.values())
            end(self._store, run, n_failed, len(self.plan.jobs))

    def _is_whole(self, sweep: RecordedSweep) -> bool:
        """Tell whether a sweep is summed up, and nobody has deleted a group or its files since."""
        if sweep.n_finished is None or (self.plan.first.search.refit and not sweep.summary.refit):
            return False
        if self._groups_of(sweep.run_id).lacking(self.outcomes):
            return False
        from runner.jobs.sweep.results import RESULTS
        from runner.tracking.records.mlflow_record import stored_run

        try:
            stored_run(self._store, sweep.run_id).read(RESULTS)
        except MissingError:
            return False
        except RecordError:
            pass  # somebody's own affair: nothing is written over it
        return True

    def _begin(self) -> RunWriter:
        self.trained_on = ""
        if len({job.data_digest for job in self.plan.jobs}) == 1:
            with suppress(ConfigError, DataError):
                self.trained_on = prepare_cached(self.plan.first).summary
        tags = {
            "runner.trained_on": self.trained_on,
            N_JOBS: str(self.plan.n_jobs),
            "runner.metric": self.plan.first.ranking_metric,
            SEARCH_NAME: self.plan.first.search.name,
            SUMMED_UP: "false",
            COMMAND: command_line(),
        }
        if self._state.sweep is not None:
            run = self._store.reopen_run(self._state.sweep.run_id)
            run.set_tags(tags)
            return run
        tags |= {"runner.kind": "sweep", "runner.plan": self.plan.identity}
        return self._store.start_run(self.plan.sweep_name, {}, tags)

    def _duration(self) -> dict[str, str]:
        before_s = self._state.sweep.duration_s if self._state.sweep else 0.0
        duration_s = before_s + time.monotonic() - self._started_s
        return {"runner.duration_s": f"{duration_s:.3f}"}

    @contextmanager
    def _grouped(self, run: RunWriter) -> Iterator[None]:
        """Store the plan, and open the groups of the jobs that are missing."""
        if self._state.sweep is None and self.states is not None:
            self.states.forget_others()  # of one that was to be started over
        self._store_plan(run)
        with self._groups_of(run.run_id) as self._groups:
            self._groups.begin(self.missing, self.outcomes)
            yield
            self._groups.restore(self.outcomes)
        if len(self.plan.jobs) > self._n_stored:
            self._store_plan(run)

    def _store_plan(self, run: RunWriter) -> None:
        run.log_folder(self._folder.write_plan(self.plan), PLAN_FOLDER)
        self._n_stored = len(self.plan.jobs)

    def _groups_of(self, sweep_id: str) -> Groups:
        sweep = self._state.sweep
        recorded = self._store.sweeps.groups_of(sweep) if sweep else {}
        parents = {position: job.parent for position, job in self._state.recorded.items()}
        return Groups(self._store, self.plan, sweep_id, recorded, parents, self.require_turn)

    def require_turn(self) -> None:
        if self._lease is not None:
            self._lease.require()

    def listed(self, task: Task) -> Task:
        self.require_turn()
        return task if self._groups is None else self._groups.listed(task)

    def is_new(self, run_id: str) -> bool:
        return all(job.outcome.run_id != run_id for job in self._state.recorded.values())

    def take(self, event: Ended) -> None:
        self.require_turn()
        super().take(event)
        if event.outcome is not None:
            # Names that a message brought along are in memory once, not once for each job.
            metrics = {intern(name): value for name, value in event.outcome.metrics.items()}
            varied = self.plan.jobs[event.position].varied
            slim = replace(event.outcome, metrics=metrics, varied=varied)
            self.outcomes[event.position] = slim
        if self._groups is not None:
            self._groups.take(event.position, self.outcomes)

    def extend(self, plan: Plan) -> list[int]:
        n_before, self.plan = len(self.plan.jobs), plan
        self._state = for_plan(self._state, plan)
        for position, outcome in self._state.done.items():
            self.outcomes.setdefault(position, outcome)
        for position, outcome in self.outcomes.items():
            job = plan.jobs[position]
            self.outcomes[position] = replace(outcome, name=job.name, varied=job.varied)
        further = range(n_before, len(plan.jobs))
        missing = [position for position in further if position not in self.outcomes]
        self.missing += missing
        if self._run is not None and self._groups is not None:
            if missing:
                self._store_plan(self._run)
            self._groups.extend(plan)
            self._groups.begin(missing, self.outcomes)
        return missing

    def can_go_on(self) -> bool:
        return True


def single_run(store: Store, plan: Plan) -> Parent:
    """Return what stands above a single run: the states of its training, and no run."""
    # A sweep of this one job on this machine would save the same states, and goes on from these.
    return Parent(plan, open_states(str(SweepFolder.of(store, plan).states), None))


@contextmanager
def sweep(store: Store, plan: Plan, listener: Listener) -> Iterator[Parent]:
    """Keep a sweep to this process, and read what is there of it from earlier commands."""
    folder = SweepFolder.of(store, plan)

    def wait(process: str) -> None:
        listener(Waiting(process))

    whose = f"{store.experiment_id}-{plan.identity}"
    with folder.locked(wait), store.kept(whose, wait) as lease:
        state = SweepState()
        before = store.sweeps.newest_of(store.experiment_id, plan.identity)
        if before is not None:
            # What ended while this command waited for the lock. It is closed before it is read: who
            # would end it yet finds it closed.
            store.close_abandoned_runs()
            store.sweeps.close_running(before, everywhere=store.is_shared)
        if not plan.first.sweep.restart:
            plan = with_earlier_jobs(store, plan)
            state = sweep_state(store, plan)
        if state.doubles:
            if lease is not None:
                lease.require()
            store.sweeps.close(state.doubles)
        parent = _Sweep(store, plan, state, folder, listener, lease)
        for reason in store.backend.unfit.values():
            listener(Notice(reason))
        listener(SweepOpened(plan, dict(parent.outcomes), is_new=state.sweep is None))
        yield parent


def end(store: Store, run: RunWriter, n_failed: int, n_jobs: int) -> None:
    """End the run of a parent by how many of its jobs have failed."""
    store.close_abandoned_runs()  # of workers that died
    if n_failed:
        run.fail(f"{n_failed:,} of {n_jobs:,} jobs failed")
    else:
        run.finish()


@contextmanager
def recorded(
    store: Store,
    begin: Callable[[], RunWriter],
    last_tags: Callable[[], Mapping[str, str]],
    require_turn: Callable[[], None] = lambda: None,
) -> Iterator[RunWriter]:
    """Begin the run of a parent; whatever ends the session early ends it in words.

    What another process may be at by now is left alone.
    """
    run = None
    try:
        with deferred_signals():  # a run that nobody knows of could not be closed
            try:
                run = begin()
                write_together([run])
            except StoreLost:
                run = None  # the next start closes it
                raise
        yield run
    except BaseException as error:
        # Where the store itself is what failed, the next start closes the runs.
        with suppress(StoreError):
            require_turn()
            if run is not None:
                run.set_tags(last_tags())
                close_run(run, error)
            store.close_abandoned_runs()  # of workers that had to be killed
        raise
