"""A sweep from its plan to its report: what is missing is run, recorded and summed up.

The same command again goes on where it stopped: what has been done is read from the store. It must
not know Hydra, MLflow or matplotlib themselves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.jobs.executors.local import n_cores
from runner.jobs.plan import Plan
from runner.jobs.stacks import stacks
from runner.jobs.supervision import ended_jobs_of
from runner.jobs.sweep.earlier_jobs import known_again, with_earlier_jobs
from runner.jobs.sweep.groups import Groups
from runner.jobs.sweep.parent_runs import recorded_sweep
from runner.jobs.sweep.results import store_results
from runner.jobs.sweep.resume import (
    Standing,
    bring_up_to_date,
    outdated,
    recorded_outcomes,
    standing_of,
)
from runner.jobs.sweep.state_folder import PLAN_FOLDER, SweepFolder
from runner.jobs.worker.task import Assignment, Ended
from runner.report.announcements import (
    points_run_once,
    print_plan,
    say_start,
    say_wait,
    say_way_back,
    sweep_name,
)
from runner.report.progress import progress
from runner.report.sweep import SweepReport, print_sweep
from runner.system.errors import Terminated
from runner.training.outcome import Outcome

if TYPE_CHECKING:
    from runner.tracking import Store


def run_sweep(plan: Plan) -> list[Outcome]:
    """Run what is missing of a sweep, and print what came of all of it.

    Parameters
    ----------
    plan : Plan
        At least one job.

    Returns
    -------
    list of Outcome
        Of all jobs of this command that have one, from it or from an earlier one.

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
    if not plan.first.sweep.restart:
        plan = known_again(store, plan)
    folder = SweepFolder.of(store, plan)
    with folder.locked(say_wait):
        standing = Standing()
        if not plan.first.sweep.restart:
            plan = with_earlier_jobs(store, plan)
            standing = standing_of(store, plan)
        if standing.sweep is not None:
            # What ended while this command waited for the lock.
            store.close_abandoned_runs()
            store.sweeps.close_running(standing.sweep)
        outcomes = dict(standing.done)
        missing = [position for position in plan.asked if position not in outcomes]
        say_start(plan, standing.done, is_new=standing.sweep is None)
        was_stopped = False
        try:
            # Without a job too: an interrupt may have left nothing but the sum to be done.
            if missing or (standing.sweep is not None and standing.sweep.n_finished is None):
                was_stopped = _run_missing(
                    store, folder, plan, standing, missing, outcomes, started
                )
        except (Exception, KeyboardInterrupt, Terminated):
            say_way_back()
            raise
        finally:
            # After Ctrl-C too: what is finished by then is worth seeing.
            duration_s = time.monotonic() - started if missing else None
            report = _report(store, plan, outcomes, duration_s)
            if was_stopped:
                report = replace(report, notes=[*report.notes, "Stopped by sweep.fail_fast."])
            print_sweep(report)
    return [outcomes[position] for position in plan.asked if position in outcomes]


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
    done: Mapping[int, Outcome] = {}
    if store and not plan.first.sweep.restart:
        plan = with_earlier_jobs(store, known_again(store, plan))
        done = standing_of(store, plan).done
    problems = [plan.jobs[position].problem for position in plan.asked]
    if all(problems) and problems[0] is not None:
        raise problems[0]  # as the sweep itself would
    sound = [p for p in plan.asked if p not in done and plan.jobs[p].problem is None]
    n_workers = plan.first.sweep.n_workers or n_cores()
    print_plan(plan, done, stacks(plan, sound, n_workers), n_workers)


def _run_missing(
    store: Store,
    folder: SweepFolder,
    plan: Plan,
    standing: Standing,
    missing: list[int],
    outcomes: dict[int, Outcome],
    started: float,
) -> bool:
    """Run the missing jobs of a sweep, sum up all of them, and tell whether it was stopped."""
    sweep, was_stopped = standing.sweep, False
    with recorded_sweep(store, plan, sweep, outcomes, started) as run:
        if sweep is None:
            folder.forget_states()
        # Before the plan is: it says what they are, and is written over now.
        for replaced in standing.replaced:
            store.sweeps.mark_replaced(replaced.outcome.run_id)
        run.log_folder(folder.write_plan(plan), PLAN_FOLDER)
        known = store.sweeps.groups_of(sweep) if sweep else {}
        with Groups(store, plan, run.run_id, known) as groups:
            if sweep is not None:
                unfinished = store.sweeps.groups_of(sweep, unfinished=True)
                groups.complete_interrupted(unfinished, outcomes)
            groups.rename(outdated(plan, standing))
            parents = groups.begin(missing)
            bring_up_to_date(store, plan, standing, parents)
            assignment = Assignment(
                plan,
                store,
                frozenset(missing),
                sweep_id=run.run_id,
                parents=parents,
                states=folder.states,
            )
            late: list[Ended] = []
            try:
                with (
                    progress(len(missing), sweep_name(plan), unit="jobs") as advance,
                    closing(ended_jobs_of(assignment, folder, advance, late)) as ended_jobs,
                ):
                    for ended in ended_jobs:
                        outcomes[ended.position] = ended.outcome
                        groups.complete(ended.position, outcomes)
                        if ended.outcome.status == "FAILED" and plan.first.sweep.fail_fast:
                            was_stopped = True
                            break
            finally:
                outcomes.update((ended.position, ended.outcome) for ended in late)
            if was_stopped:
                store.close_abandoned_runs()
                for position in _hear_the_rest(store, plan, outcomes):
                    groups.complete(position, outcomes)
        if len(outcomes) == len(plan.jobs):
            folder.forget_states()
        store_results(run, store, plan, outcomes, sweep_name(plan))
    return was_stopped and len(outcomes) < len(plan.jobs)


def _hear_the_rest(store: Store, plan: Plan, outcomes: dict[int, Outcome]) -> list[int]:
    """Add what workers had recorded when they were stopped; return the positions of that."""
    recorded = recorded_outcomes(plan, standing_of(store, plan))
    unheard = sorted(recorded.keys() - outcomes.keys())
    outcomes.update((position, recorded[position]) for position in unheard)
    return unheard


def _report(
    store: Store, plan: Plan, outcomes: Mapping[int, Outcome], duration_s: float | None
) -> SweepReport:
    return SweepReport(
        title=sweep_name(plan),
        outcomes=[outcomes[position] for position in sorted(outcomes)],
        n_jobs=len(plan.jobs),
        metric=plan.first.ranking_metric,
        where=store.where,
        duration_s=duration_s,
        notes=points_run_once(plan),
    )
