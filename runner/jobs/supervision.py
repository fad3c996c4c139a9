"""The jobs of a sweep in the hands of workers: which of them do what, and what if one dies.

Turns events into jobs that have ended. It must not know what is made of them.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.jobs.executors.local import Crashed, Engine, Work, n_cores
from runner.jobs.plan import Plan
from runner.jobs.stacks import Stack, stacks
from runner.jobs.sweep.resume import standing_of
from runner.jobs.sweep.state_folder import SweepFolder
from runner.jobs.worker.task import Assignment, Ended, Progress, Resumed
from runner.jobs.worker.work import work_on
from runner.report.announcements import say_resumed

if TYPE_CHECKING:
    from runner.report.progress import Advance


def ended_jobs_of(
    assignment: Assignment, folder: SweepFolder, advance: Advance, late: list[Ended]
) -> Generator[Ended, None, None]:
    """Go through the jobs as they end, and move the bar meanwhile.

    Those that end while an interrupt ends the workers are added to `late`.
    """
    plan, store = assignment.plan, assignment.recording
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

    engine = Engine(n_workers, workplace, tasks)
    try:
        with engine:
            for event in engine.events():
                match event:
                    case Progress():
                        advance(event.n_jobs, loss=event.loss)
                    case Resumed():
                        say_resumed(event.n_jobs, event.step)
                    case Ended():
                        left.discard(event.position)
                        yield event
                    case Crashed():
                        for ended in _after_crash(assignment, event, left):
                            left.remove(ended.position)
                            yield ended
                        # One of the rest may have killed the worker: each has a try of its own.
                        engine.add([(position,) for position in event.task if position in left])
    finally:
        late += [event for event in engine.late if isinstance(event, Ended)]


def _after_crash(assignment: Assignment, crash: Crashed, left: Collection[int]) -> Iterator[Ended]:
    """Go through the jobs of a dead worker that need no other try."""
    store = assignment.recording
    store.close_abandoned_runs()
    # What it had recorded by then is done, though it could not say so any more.
    done = standing_of(store, assignment.plan).done
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
