"""A sweep from its plan to its report: what is missing is run, recorded and summed up.

The same command again goes on where it stopped: what has been done is read from the store. It must
not know Hydra, MLflow or matplotlib themselves.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner import garbage
from runner.announcements import (
    print_plan,
    say,
    say_start,
    say_wait,
    say_way_back,
    sweep_name,
)
from runner.assignment import Assignment, Ended, Progress, Resumed
from runner.engine import Crashed, Engine, Work, n_cores
from runner.errors import StoreError, Terminated
from runner.groups import Groups
from runner.outcome import Outcome
from runner.plan import Plan
from runner.progress import progress
from runner.record import close_run
from runner.report import SweepReport, print_sweep
from runner.results import store_results
from runner.signals import held
from runner.stack import Stack, stacks
from runner.sweep_folder import SweepFolder
from runner.work import work_on

if TYPE_CHECKING:
    from runner.progress import Advance
    from runner.tracking import RecordedRun, RecordedSweep, Store


@dataclass(frozen=True)
class _Standing:
    """How a sweep stands in the store: its run, if it has one, and what is done of it."""

    sweep: RecordedSweep | None
    done: Mapping[int, Outcome]


def run_sweep(plan: Plan) -> list[Outcome]:
    """Run what is missing of a sweep, and print what came of all of it.

    Parameters
    ----------
    plan : Plan
        At least one job.

    Returns
    -------
    list of Outcome
        Of all jobs that have one, from this command or an earlier one.

    Raises
    ------
    RunnerError
        If there is no store, or if it fails on the way.
    """
    from runner.tracking import open_store

    started = time.monotonic()
    tracking = plan.first.tracking
    problems = [job.problem for job in plan.jobs if job.problem is not None]
    if len(problems) == len(plan.jobs):
        raise problems[0]  # before a store is made for nothing
    store = open_store(tracking.uri, tracking.experiment, plan.experiment_name)
    garbage.allow()
    folder = SweepFolder(store.folder / "sweeps" / plan.identity)
    with folder.locked(say_wait):
        standing = _Standing(None, {}) if plan.first.sweep.restart else _standing(store, plan)
        if standing.sweep is not None:
            store.sweeps.close_running(standing.sweep)
        outcomes = dict(standing.done)
        missing = [position for position in range(len(plan.jobs)) if position not in outcomes]
        say_start(plan, len(missing), is_new=standing.sweep is None)
        try:
            # Without a job too: an interrupt may have left nothing but the sum to be done.
            if missing or (standing.sweep is not None and standing.sweep.n_finished is None):
                _run_missing(store, folder, plan, standing.sweep, missing, outcomes)
        except (Exception, KeyboardInterrupt, Terminated):
            say_way_back()
            raise
        finally:
            # After Ctrl-C too: what is finished by then is worth seeing.
            duration_s = time.monotonic() - started
            print_sweep(_report(store, plan, outcomes, duration_s))
    return [outcomes[position] for position in sorted(outcomes)]


def show_plan(plan: Plan) -> None:
    """Print what a sweep would do, and do nothing of it.

    Raises
    ------
    RunnerError
        If the store is there, but cannot be read.
    """
    from runner.tracking import find_store

    tracking = plan.first.tracking
    store = find_store(tracking.uri, tracking.experiment, plan.experiment_name)
    done = _standing(store, plan).done if store and not plan.first.sweep.restart else {}
    sound = [p for p, job in enumerate(plan.jobs) if p not in done and job.problem is None]
    n_workers = plan.first.sweep.n_workers or n_cores()
    print_plan(plan, len(done), stacks(plan, sound, n_workers), n_workers)


def _standing(store: Store, plan: Plan) -> _Standing:
    """Read from the store what has been done of a plan."""
    sweep = store.sweeps.newest_of(store.experiment_id, plan.identity)
    if sweep is None:
        return _Standing(None, {})
    stands = {"FINISHED"} if plan.first.sweep.retry_failed else {"FINISHED", "FAILED"}
    positions = {job.key: position for position, job in enumerate(plan.jobs)}
    done = {
        positions[job.key]: job.outcome
        for job in store.sweeps.jobs_of(sweep)
        if job.key in positions and job.outcome.status in stands
    }
    return _Standing(sweep, done)


def _run_missing(
    store: Store,
    folder: SweepFolder,
    plan: Plan,
    sweep: RecordedSweep | None,
    missing: list[int],
    outcomes: dict[int, Outcome],
) -> None:
    """Run the missing jobs of a sweep, and sum up all of them."""
    with _recorded(store, plan, sweep, outcomes) as run:
        if sweep is None:
            folder.forget_states()
        run.log_folder(folder.write_plan(plan), "plan")
        known = store.sweeps.groups_of(sweep) if sweep else {}
        with Groups(store, plan, run.run_id, known) as groups:
            if sweep is not None:
                unfinished = store.sweeps.groups_of(sweep, unfinished=True)
                groups.complete_interrupted(unfinished, outcomes)
            parents = groups.begin(missing)
            assignment = Assignment(
                plan, store, frozenset(missing), run.run_id, parents, folder.states
            )
            with (
                progress(len(missing), sweep_name(plan), unit="jobs") as advance,
                closing(_ended(assignment, folder, advance)) as ended_jobs,
            ):
                for ended in ended_jobs:
                    outcomes[ended.position] = ended.outcome
                    groups.complete(ended.position, outcomes)
                    if ended.outcome.status == "FAILED" and plan.first.sweep.fail_fast:
                        break
        store_results(run, store, plan, outcomes, sweep_name(plan))


@contextmanager
def _recorded(
    store: Store, plan: Plan, sweep: RecordedSweep | None, outcomes: Mapping[int, Outcome]
) -> Iterator[RecordedRun]:
    """Give the run of a sweep, created or open again, and an honest end to it."""
    begun, before_s = time.monotonic(), sweep.duration_s if sweep else 0.0

    def duration() -> dict[str, str]:
        return {"runner.duration_s": f"{before_s + time.monotonic() - begun:.3f}"}

    run = None
    try:
        with held():  # a run that nobody knows of could not be closed
            run = _create(store, plan) if sweep is None else store.reopen_run(sweep.run_id)
        n_jobs, metric = len(plan.jobs), plan.first.ranking_metric
        run.set_tags({"runner.n_jobs": str(n_jobs), "runner.metric": metric})
        yield run
        run.set_tags(duration())
        n_failed = sum(outcome.status == "FAILED" for outcome in outcomes.values())
        if n_failed:
            run.fail(f"{n_failed:,} of {n_jobs:,} jobs failed")
        else:
            run.finish()
    except BaseException as error:
        # Where the store itself is what failed, the next start closes the runs.
        with suppress(StoreError):
            if run is not None:
                run.set_tags(duration())
                close_run(run, error)
            store.close_abandoned_runs()  # of workers that had to be killed
        raise


def _create(store: Store, plan: Plan) -> RecordedRun:
    """Create the run of a new sweep."""
    tags = {
        "runner.kind": "sweep",
        "runner.plan": plan.identity,
    }
    return store.start_run(sweep_name(plan), {}, tags)


def _ended(
    assignment: Assignment, folder: SweepFolder, advance: Advance
) -> Generator[Ended, None, None]:
    """Go through the jobs as they end, and move the bar meanwhile."""
    plan, store = assignment.plan, assignment.store
    left = set(assignment.wanted)
    for position in sorted(left):
        problem = plan.jobs[position].problem
        if problem is not None:
            advance(1)
            left.remove(position)
            yield assignment.fail(position, str(problem))
    n_workers = plan.first.sweep.n_workers or n_cores()
    tasks = _tasks(plan, left, folder, n_workers)

    @contextmanager
    def workplace() -> Iterator[Work]:
        with store.in_a_fork():
            yield work_on(assignment)

    with Engine(min(n_workers, max(len(tasks), 1)), workplace, tasks) as engine:
        for event in engine.events():
            match event:
                case Progress():
                    advance(event.n_jobs, loss=event.loss)
                case Resumed():
                    say(f"{event.n_jobs:,} jobs go on from step {event.step:,}.")
                case Ended():
                    left.discard(event.position)
                    yield event
                case Crashed():
                    for ended in _after_crash(assignment, event, left):
                        left.remove(ended.position)
                        yield ended
                    # One of the rest may be what killed the worker: each has a try of its own.
                    engine.add([(position,) for position in event.task if position in left])


def _after_crash(assignment: Assignment, crash: Crashed, left: Collection[int]) -> Iterator[Ended]:
    """Go through the jobs of a dead worker that need no other try."""
    store = assignment.store
    store.close_abandoned_runs()
    # What it had recorded by then is done, though it could not say so any more.
    done = _standing(store, assignment.plan).done
    for position in [position for position in crash.task if position in left]:
        if position in done:
            yield Ended(position, done[position])
        elif len(crash.task) == 1:
            yield assignment.fail(position, crash.reason)


def _tasks(plan: Plan, sound: set[int], folder: SweepFolder, n_workers: int) -> list[Stack]:
    """Put jobs into stacks; those whose training was saved go on as the stack they were."""
    positions = {job.key: position for position, job in enumerate(plan.jobs)}
    waiting = set(sound)
    saved: list[Stack] = []
    for keys in folder.saved_keys():
        stack = tuple(positions[key] for key in keys if key in positions)
        if len(stack) == len(keys) and waiting.intersection(stack):
            saved.append(stack)
            waiting.difference_update(stack)
    return saved + stacks(plan, sorted(waiting), n_workers)


def _report(
    store: Store, plan: Plan, outcomes: Mapping[int, Outcome], duration_s: float
) -> SweepReport:
    n_duplicates = plan.n_duplicates
    points = "1 point was" if n_duplicates == 1 else f"{n_duplicates:,} points were"
    return SweepReport(
        title=sweep_name(plan),
        outcomes=[outcomes[position] for position in sorted(outcomes)],
        n_jobs=len(plan.jobs),
        metric=plan.first.ranking_metric,
        where=store.where,
        duration_s=duration_s,
        notes=[f"{points} given again, and run once."] if n_duplicates else [],
    )
