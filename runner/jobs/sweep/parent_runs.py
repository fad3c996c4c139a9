"""What stands above the jobs of a session: nothing, a sweep with its groups, or a rerun.

A parent says which jobs are missing, takes what ends, and gives its own run an honest end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.jobs.events import Ended, Listener, SweepOpened, Waiting
from runner.jobs.plan import Plan
from runner.jobs.rerun.comparison import Comparison, Verdict
from runner.jobs.rerun.request import RerunRequest
from runner.jobs.rerun.verify import links_to
from runner.jobs.stacks import Stack
from runner.jobs.sweep.groups import Groups
from runner.jobs.sweep.results import store_results
from runner.jobs.sweep.resume import SweepState, sweep_state, with_earlier_jobs
from runner.jobs.sweep.state_folder import PLAN_FOLDER, SweepFolder
from runner.jobs.worker.recording import close_run
from runner.system.errors import StoreError
from runner.system.signals import held
from runner.tracking import SUMMED_UP
from runner.training.outcome import Outcome

if TYPE_CHECKING:
    from runner.tracking import RecordedRun, Store

# The tag of an original for each of its reruns ends in the rerun's id, and holds the verdict: no
# two reruns at once write to the same place.
_RERUN = "runner.rerun."


class Parent:
    """What stands above the jobs of a session; this one, above a single run, is nothing.

    Attributes
    ----------
    plan : Plan
        With the jobs that earlier commands gave the sweep.
    run_id : str or None
        The run of the sweep or the rerun, while it is open.
    outcomes : dict of int to Outcome
        Of the jobs that have ended, by position in the plan.
    comparisons : dict of int to Comparison
        With the records that jobs repeat, by position.
    missing : list of int
        Positions of the jobs that are to be run.
    group_runs : mapping of int to str
        The group runs that jobs are listed under, by position.
    states : Path or None
        The folder for states of long trainings.
    """

    def __init__(self, plan: Plan, states: Path | None = None) -> None:
        self.plan = plan
        self.run_id: str | None = None
        self.outcomes: dict[int, Outcome] = {}
        self.comparisons: dict[int, Comparison] = {}
        self.missing = plan.asked
        self.group_runs: Mapping[int, str] = {}
        self.states = states

    def take(self, event: Ended) -> None:
        """Take note of a job that has ended."""
        if event.outcome is not None:
            self.outcomes[event.position] = event.outcome
        if event.comparison is not None:
            self.comparisons[event.position] = event.comparison

    def recorded(self) -> Mapping[int, Outcome]:
        """Return what the store has of the jobs, also where no worker could say so any more."""
        return {}

    def saved_stacks(self) -> list[Stack]:
        """Return the stacks whose training was saved, to go on as they were."""
        return []

    def can_go_on(self) -> bool:
        """Tell whether the same command would go on from here, and not from the start."""
        return self.states is not None and any(self.states.glob("*.npz"))


class _Sweep(Parent):
    """A sweep: done is what the store says."""

    def __init__(self, store: Store, plan: Plan, state: SweepState, folder: SweepFolder) -> None:
        super().__init__(plan, folder.states)
        self.outcomes = dict(state.done)
        self.missing = [position for position in plan.asked if position not in self.outcomes]
        self.groups: Groups | None = None
        self._store, self._folder = store, folder

    def take(self, event: Ended) -> None:
        super().take(event)
        if self.groups is not None:
            self.groups.complete(event.position, self.outcomes)

    def recorded(self) -> Mapping[int, Outcome]:
        return sweep_state(self._store, self.plan).outcomes

    def saved_stacks(self) -> list[Stack]:
        positions = {job.key: position for position, job in enumerate(self.plan.jobs)}
        return [
            tuple(positions[key] for key in keys)
            for keys in self._folder.saved_keys()
            if positions.keys() >= set(keys)
        ]

    def can_go_on(self) -> bool:
        return True


class _Rerun(Parent):
    """A rerun, of one run or of the jobs of a sweep: nothing is done beforehand."""

    def __init__(self, store: Store | None, plan: Plan, asked: RerunRequest) -> None:
        super().__init__(plan)
        self._store, self._asked = store, asked

    def take(self, event: Ended) -> None:
        """Take note of a job that has ended, and let its original name it."""
        with held():  # what is reported has its link, and the other way round
            super().take(event)
            outcome, comparison = event.outcome, event.comparison
            if self._store is None or outcome is None or not outcome.run_id:
                return
            broke_off = "broke off" if self._asked.compares else "with other settings"
            verdict = str(comparison.verdict) if comparison else broke_off
            original_id = self._asked.originals[event.position].source.run_id
            self._store.set_tags(original_id, {f"{_RERUN}{outcome.run_id}": verdict})

    def counts(self) -> dict[str, float]:
        """Return how many jobs have each verdict."""
        verdicts = [comparison.verdict for comparison in self.comparisons.values()]
        verdicts += [Verdict.CANNOT_COMPARE] * len(self._asked.unfit)
        return {f"n_{v.name.lower()}": float(verdicts.count(v)) for v in Verdict}

    @property
    def n_jobs(self) -> int:
        """How many jobs were to be repeated."""
        return len(self.plan.jobs) + len(self._asked.unfit)

    def summary(self) -> str:
        """Say in a few words what came of it, as a tag of the original."""
        if not self._asked.compares:
            return "with other settings"
        n_identical = int(self.counts()["n_identical"])
        return f"{n_identical:,} of {self.n_jobs:,} identical"


@contextmanager
def single_run(store: Store, plan: Plan) -> Iterator[Parent]:
    """Give what stands above a single run: the states of its training, and no run."""
    # A sweep of this one job would save the same states, and goes on from these.
    yield Parent(plan, SweepFolder.of(store, plan).states)


@contextmanager
def sweep(store: Store, plan: Plan, listener: Listener) -> Iterator[Parent]:
    """Open a sweep, keep it to this process, and give it an honest end.

    What is there of it from earlier commands is read first; when the jobs have been run, all of it
    is summed up.
    """
    started = time.monotonic()
    folder = SweepFolder.of(store, plan)
    with folder.locked(lambda process: listener(Waiting(process))):
        state = SweepState()
        if not plan.first.sweep.restart:
            plan = with_earlier_jobs(store, plan)
            state = sweep_state(store, plan)
        if state.sweep is not None:
            # What ended while this command waited for the lock.
            store.close_abandoned_runs()
            store.sweeps.close_running(state.sweep)
        parent = _Sweep(store, plan, state, folder)
        listener(SweepOpened(plan, dict(parent.outcomes), is_new=state.sweep is None))
        is_summed_up = state.sweep is not None and state.sweep.n_finished is not None
        if not parent.missing and is_summed_up:
            yield parent
            return
        before_s = state.sweep.duration_s if state.sweep else 0.0

        def duration() -> dict[str, str]:
            return {"runner.duration_s": f"{before_s + time.monotonic() - started:.3f}"}

        with _recorded(store, lambda: _begin_sweep(store, plan, state), duration) as run:
            yield from _run_in_groups(store, run, parent, state, folder, listener)
            run.set_tags(duration() | {SUMMED_UP: "true"})
            n_failed = sum(outcome.status == "FAILED" for outcome in parent.outcomes.values())
            _end(store, run, n_failed, len(plan.jobs))


def _begin_sweep(store: Store, plan: Plan, state: SweepState) -> RecordedRun:
    tags = {
        "runner.n_jobs": str(len(plan.jobs)),
        "runner.metric": plan.first.ranking_metric,
        SUMMED_UP: "false",
    }
    if state.sweep is not None:
        run = store.reopen_run(state.sweep.run_id)
        run.set_tags(tags)
    else:
        tags |= {"runner.kind": "sweep", "runner.plan": plan.identity}
        run = store.start_run(plan.sweep_name, {}, tags)
    return run


def _run_in_groups(
    store: Store,
    run: RecordedRun,
    parent: _Sweep,
    state: SweepState,
    folder: SweepFolder,
    listener: Listener,
) -> Iterator[Parent]:
    """Have the jobs of a sweep run below its groups, and sum all of them up."""
    plan = parent.plan
    run.flush()
    if state.sweep is None:
        folder.forget_states()
    run.log_folder(folder.write_plan(plan), PLAN_FOLDER)
    recorded = store.sweeps.groups_of(state.sweep) if state.sweep else {}
    with Groups(store, plan, run.run_id, recorded) as groups:
        if state.sweep is not None:
            unfinished = store.sweeps.groups_of(state.sweep, unfinished=True)
            groups.complete_interrupted(unfinished, parent.outcomes)
        parent.run_id, parent.groups = run.run_id, groups
        parent.group_runs = groups.begin(parent.missing)
        for position, job in state.recorded.items():
            # A job whose seeds have come since was listed under the sweep itself.
            group = parent.group_runs.get(position, job.parent)
            if group != job.parent:
                store.set_tags(job.outcome.run_id, {"mlflow.parentRunId": group})
        yield parent
    if len(parent.outcomes) == len(plan.jobs):
        folder.forget_states()
    store_results(run, store, plan, parent.outcomes, listener)


@contextmanager
def rerun(store: Store | None, plan: Plan, asked: RerunRequest) -> Iterator[Parent]:
    """Open the rerun of one run, or of a sweep, which has a run of its own in the store."""
    parent = _Rerun(store, plan, asked)
    if store is None or asked.parent is None:
        yield parent
        return
    original_id, name = asked.parent.run_id, asked.parent.name
    tags = links_to(original_id, store.experiment_id) | {"runner.kind": "rerun"}
    with _recorded(store, lambda: store.start_run(name, {}, tags), dict) as run:
        parent.run_id = run.run_id
        yield parent
        run.log_metrics(0, parent.counts())
        # One that diverged as its original did has not failed to repeat it.
        n_failed = sum(
            outcome.status != "FINISHED" and position not in parent.comparisons
            for position, outcome in parent.outcomes.items()
        )
        _end(store, run, n_failed, parent.n_jobs)
        store.set_tags(original_id, {f"{_RERUN}{run.run_id}": parent.summary()})


def _end(store: Store, run: RecordedRun, n_failed: int, n_jobs: int) -> None:
    store.close_abandoned_runs()  # of workers that died
    if n_failed:
        run.fail(f"{n_failed:,} of {n_jobs:,} jobs failed")
    else:
        run.finish()


@contextmanager
def _recorded(
    store: Store,
    begin: Callable[[], RecordedRun],
    last_tags: Callable[[], Mapping[str, str]],
) -> Iterator[RecordedRun]:
    """Begin the run of a parent; whatever ends the session early ends it in words."""
    run = None
    try:
        with held():  # a run that nobody knows of could not be closed
            run = begin()
        yield run
    except BaseException as error:
        # Where the store itself is what failed, the next start closes the runs.
        with suppress(StoreError):
            if run is not None:
                run.set_tags(last_tags())
                close_run(run, error)
            store.close_abandoned_runs()  # of workers that had to be killed
        raise
