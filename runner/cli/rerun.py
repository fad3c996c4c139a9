"""The command `runner rerun`: repeat a recorded run or sweep, and compare the results."""

from __future__ import annotations

from typing import Any

from runner.jobs.events import Finished
from runner.jobs.executors import executor_of
from runner.jobs.executors.local import InProcess
from runner.jobs.rerun.comparison import Verdict
from runner.jobs.rerun.request import Options, RerunRequest, request
from runner.jobs.session import Request, run
from runner.report.console import Console
from runner.report.table import say
from runner.system.errors import RecordError, RunnerError
from runner.tracking.backend.rows import is_run_id
from runner.tracking.queries import REFIT
from runner.tracking.records import StoredRun


def repeat(**options: Any) -> int:  # noqa: ANN401  (those of `Options`)
    """Repeat a recorded run or sweep, and print how the results compare; return the exit code."""
    with Console(is_of_rerun=True) as console:
        asked = request(Options(**options), console)
        if asked.plan is None:
            return RecordError.exit_code
        n_workers = asked.plan.first.sweep.n_workers
        is_alone = asked.parent is None
        executor = InProcess() if is_alone else executor_of(asked.executor, n_workers)
        finished = run(Request(asked.plan, rerun=asked), asked.recording, executor, console)
    refit = asked.parent.tags.get(REFIT, "") if isinstance(asked.parent, StoredRun) else ""
    if is_run_id(refit):
        say(f"The refit is a run of its own, and is not repeated: runner rerun {refit}")
    return exit_code(asked, finished)


def exit_code(asked: RerunRequest, finished: Finished) -> int:
    """Return how the command ends: 5 for what differs, 2 for what cannot be compared, else 0 or 1.

    A run that was to be other than its original is judged by whether it finished.
    """
    if finished.search is not None and not finished.search.is_identical:
        return 5
    compared = list(finished.comparisons.values())
    tolerance = asked.options.tolerance
    if any(result.differs and not result.is_admitted(tolerance) for result in compared):
        return 5
    is_unknown = any(result.verdict is Verdict.CANNOT_COMPARE for result in compared)
    if asked.unfit or is_unknown or not (compared or finished.outcomes):
        return RecordError.exit_code
    is_broken = any(
        outcome.status in ("FAILED", "KILLED") and position not in finished.comparisons
        for position, outcome in finished.outcomes.items()
    )
    return RunnerError.exit_code if is_broken else 0
