"""One command at work: its jobs planned, and then run, alone or as a sweep.

Here the data's way comes together: composed configs become a plan, a plan recorded runs, and those
a table on the screen. It must not know Hydra, MLflow or matplotlib themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.jobs.plan import Plan, PlannedJob, make_plan
from runner.jobs.sweep.state_folder import SweepFolder
from runner.jobs.worker.task import Assignment, Begun, Ended, Events, Progress, Resumed
from runner.jobs.worker.work import work_on
from runner.report.announcements import say_resumed, say_way_back
from runner.report.progress import Advance, progress
from runner.report.runs import print_run
from runner.system.errors import Terminated
from runner.system.signals import raise_what_was_swallowed
from runner.training.outcome import Outcome
from runner.training.prepare import require_fit

if TYPE_CHECKING:
    from runner.config.compose import Job


def run_jobs(jobs: Sequence[Job], *, is_sweep: bool) -> list[Outcome]:
    """Train and record the jobs of one command, and print what came of them.

    Parameters
    ----------
    jobs : sequence of Job
        At least one.
    is_sweep : bool
        Whether they were asked for as a sweep, be it of a single job. A run of its own gets
        figures and a loadable model.

    Returns
    -------
    list of Outcome
        In a sweep a job that cannot be run is a FAILED outcome, and the others go on.

    Raises
    ------
    RunnerError
        Before a job has begun: if a setting is wrong, if there is no store, or if the data of no
        job at all can be used.
    """
    plan = make_plan(jobs)
    raise_what_was_swallowed()
    if plan.first.sweep.dry_run:
        from runner.jobs.session import show_plan

        show_plan(plan)
        return []
    if is_sweep:
        from runner.jobs.session import run_sweep

        return run_sweep(plan)
    return [run_alone(plan)]


def run_alone(plan: Plan) -> Outcome:
    """Train and record the only job of a plan in this process.

    Raises
    ------
    RunnerError
        If its data are of no use, or if the store fails.
    """
    from runner.tracking import open_store

    (job,) = plan.jobs
    if job.problem is not None:
        raise job.problem  # before a store is made for nothing
    tracking = job.experiment.tracking
    store = open_store(tracking.uri, tracking.experiment, job.experiment.name)
    # A sweep of this one job would save the same states, and goes on from these.
    states = SweepFolder.of(store, plan).states
    n_steps = require_fit(job.experiment, plan.preparer(job.experiment)).n_steps
    started = time.monotonic()
    outcome: Outcome | None = None
    try:
        with (
            progress(n_steps, job.name) as advance,
            closing(
                work_on(Assignment(plan, store, wanted={0}, alone=True, states=states))((0,))
            ) as events,
        ):
            for known in _known_of(job, events, n_steps, advance):
                outcome = known
    except Exception:
        outcome = None
        raise
    except (KeyboardInterrupt, Terminated):
        if any(states.glob("*.npz")):
            say_way_back()
        raise
    finally:
        if outcome is not None:
            took = replace(outcome, duration_s=time.monotonic() - started)
            print_run(took, store.where)
    return took


def _known_of(job: PlannedJob, events: Events, n_steps: int, advance: Advance) -> Iterator[Outcome]:
    """Go through what is known of the only job, as it comes, and move the bar meanwhile."""
    outcome = Outcome(job.name, "", "KILLED", job.varied, {}, "interrupted", 0.0)
    yield outcome
    done = 0
    for event in events:
        match event:
            case Begun():
                yield replace(outcome, run_id=event.run_id)
            case Resumed():
                say_resumed(event.n_jobs, event.step)
            case Progress() if done < n_steps:
                # The first half of a job is its training.
                steps = round(2 * n_steps * event.n_jobs)
                advance(steps, loss=event.loss)
                done += steps
            case Ended():
                yield event.outcome
