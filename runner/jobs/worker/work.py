"""One stack at work: its data read again, its jobs trained together and recorded one by one.

A generator of events, for whoever shows them and decides what comes next. Whatever fails in a
stack of many is tried again job by job, so that a bad job costs itself alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runner.jobs.worker.recording import reason_of
from runner.jobs.worker.stack_run import StackAtWork
from runner.jobs.worker.task import Assignment, Events
from runner.system.errors import ConfigError, DataError, RunnerError

if TYPE_CHECKING:
    from runner.jobs.stacks import Stack


def work_on(assignment: Assignment) -> Callable[[Stack], Events]:
    """Return the function that trains and records a stack, and yields what happens.

    Data stay in memory between stacks that share them.
    """
    plan = assignment.plan

    def work(stack: Stack, first_try: StackAtWork | None = None) -> Events:
        wanted = [position for position in stack if position in assignment.wanted]
        try:
            first = plan.jobs[stack[0]]
            prepared = plan.preparer.unchanged(first.experiment, first.data_digest)
        except (ConfigError, DataError) as error:
            for position in wanted:
                shown = first_try.end(position, error) if first_try else None
                yield assignment.fail(position, str(error), shown)
            return
        at_work = None
        try:
            at_work = StackAtWork(assignment, stack, wanted, prepared, first_try)
            yield from at_work.train()
        except RunnerError:
            raise
        except Exception as error:
            if assignment.alone:
                raise
            if len(stack) == 1:
                with_run = at_work or first_try
                shown = with_run.end(stack[0], error) if with_run else None
                yield assignment.fail(stack[0], reason_of(error), shown)
            else:
                yield from _one_by_one(work, wanted, at_work)
            return
        yield from _record(assignment, at_work)

    return work


def _one_by_one(
    work: Callable[[Stack, StackAtWork | None], Events],
    wanted: list[int],
    first_try: StackAtWork | None,
) -> Events:
    """Try jobs alone; those that are shown go on in the runs that they have."""
    try:
        for position in wanted:
            yield from work((position,), first_try)
    except BaseException as error:
        if first_try is not None:
            first_try.close(error)
        raise


def _record(assignment: Assignment, at_work: StackAtWork) -> Events:
    """Record one job after the other."""
    for position, result in at_work.results():
        try:
            yield from at_work.record(position, result)
        except RunnerError:
            raise
        except Exception as error:
            if assignment.alone:
                raise
            yield assignment.fail(position, reason_of(error), at_work.closed.get(position))
    at_work.forget()
