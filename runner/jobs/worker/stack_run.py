"""A stack between its first step and its last record: trained, shown, saved, recorded.

A generator of events for whoever decides what comes next, and what if it fails.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.jobs.worker.recording import close_run, end_run, outcome_of
from runner.jobs.worker.task import Assignment, Begun, Ended, Events, Progress, Resumed
from runner.system.environment import code_digest, environment_digest
from runner.system.errors import RunnerError, StoreError
from runner.system.files import read_state, write_state
from runner.system.signals import held
from runner.tracking import FLUSH_EVERY_S
from runner.training.prepare import Prepared
from runner.training.train import Result, StackTraining

if TYPE_CHECKING:
    from runner.jobs.stacks import Stack
    from runner.tracking import RecordedRun
    from softnet import Record

# Runs of a sweep appear in the store when they are trained, unless that takes long, and there are
# few enough of them that showing them does not take longer than training them.
_SHOWN_AFTER_S = 5.0
_SHOWN_AT_MOST = 32
# A run longer than a minute outlives a kill.
_SAVED_EVERY_S = 30.0


class StackAtWork:
    """A stack between its first step and its last record."""

    def __init__(
        self,
        assignment: Assignment,
        stack: Stack,
        wanted: list[int],
        prepared: Prepared,
        first_try: StackAtWork | None = None,
    ) -> None:
        self._assignment = assignment
        self._stack = stack
        self._wanted = wanted
        self._prepared = prepared
        self._jobs = [assignment.plan.jobs[position] for position in stack]
        self._training = self._from_the_start()
        self._results: list[Result] = []
        self._runs: dict[int, RecordedRun] = {}
        self.closed: dict[int, str] = {}
        # Up to which step the run of a job has been told; what comes again is the same.
        self._told: dict[int, int] = {}
        if first_try is not None:
            self._take_over(first_try)
        self._n_logged = 0
        self._saved_s = time.monotonic()
        keys = "\n".join(job.key for job in self._jobs)
        digest = hashlib.sha256(keys.encode()).hexdigest()[:16]
        self._state = assignment.states and assignment.states / f"{digest}.npz"

    def _from_the_start(self) -> StackTraining:
        return StackTraining(self._prepared, [job.experiment for job in self._jobs])

    def train(self) -> Events:
        """Train to the end, and show on the way what takes long."""
        training, n_jobs = self._training, len(self._wanted)
        try:
            if self._assignment.alone:
                self._show()
                yield from (Begun(run.run_id) for run in self._runs.values())
            if self._resume():
                yield Resumed(n_jobs, training.step)
            done, begun_s = 0.0, time.monotonic()
            for record in training:
                takes_long = time.monotonic() - begun_s > _SHOWN_AFTER_S
                if takes_long and not self._runs and n_jobs <= _SHOWN_AT_MOST:
                    self._show()
                self._log()
                self._save()
                yield Progress((training.progress - done) * n_jobs / 2, _loss(record))
                done = training.progress
            self._results = training.results()
            # What stops early has done its part.
            yield Progress((1.0 - done) * n_jobs / 2)
        except BaseException as error:
            if self._gets_another_try(error):
                self.forget()  # what raised once would raise again
            else:
                self.close(error)
            raise

    def _gets_another_try(self, error: BaseException) -> bool:
        ours = isinstance(error, Exception) and not isinstance(error, RunnerError)
        return ours and not self._assignment.alone and len(self._stack) > 1

    def _take_over(self, first_try: StackAtWork) -> None:
        """Go on in the runs that another stack has shown, and left open."""
        for position in self._wanted:
            run = first_try._runs.pop(position, None)
            if run is not None:
                self._runs[position] = run
                self._told[position] = first_try._told.get(position, -1)

    def end(self, position: int, error: Exception) -> str | None:
        """End the run of a job, if it is shown, as what failed says; return its id."""
        self._close_run(position, error)
        return self.closed.get(position)

    def results(self) -> list[tuple[int, Result]]:
        """Return what the jobs that are wanted have left, by position."""
        pairs = zip(self._stack, self._results, strict=True)
        return [(position, result) for position, result in pairs if position in self._wanted]

    def record(self, position: int, result: Result) -> Events:
        """Record one job, judged where somebody asked for it."""
        assignment = self._assignment
        try:
            judgement = assignment.judge(position, result)
            store = assignment.store
            if store is None:
                yield Progress(0.5, result.final.get("train/loss"))
                outcome = outcome_of(assignment.plan.jobs[position], "", result)
                yield Ended(position, outcome, judgement)
                return
            run = self._runs.get(position)
            if run is None:
                with held():  # a run that nobody knows of could not be closed
                    run = assignment.begin(position, result.started_s, result=result)
                    self._runs[position] = run
                for (step, metrics), at_s in zip(result.history, result.times_s, strict=True):
                    run.log_metrics(step, metrics, at_s)
            outcome = end_run(
                run,
                store,
                assignment.plan.jobs[position],
                self._prepared,
                result,
                with_pictures=assignment.alone,
                last_tags=judgement.tags if judgement is not None else None,
            )
            del self._runs[position]
            yield Progress(0.5, outcome.metrics.get("train/loss"))
            yield Ended(position, outcome, judgement)
        except Exception as error:
            self._close_run(position, error)
            raise
        except BaseException as error:
            self.close(error)
            raise

    def forget(self) -> None:
        """Remove the saved state, which nothing will go on from."""
        if self._state is not None:
            self._state.unlink(missing_ok=True)

    def _show(self) -> None:
        """Create the runs before they are trained."""
        if self._assignment.store is None:
            return
        for position in self._wanted:
            with held():  # a run that nobody knows of could not be closed
                self._runs[position] = self._assignment.begin(
                    position,
                    self._training.started_s,
                    flush_every_s=FLUSH_EVERY_S * len(self._wanted),
                )

    def _log(self) -> None:
        """Tell the runs that are shown what they have not been told yet."""
        if not self._runs:
            return
        records = self._training.records
        for record, at_s in records[self._n_logged :]:
            for row, number in enumerate(record.runs):
                position = self._stack[number]
                run = self._runs.get(position)
                if run is not None and record.step > self._told.get(position, -1):
                    metrics = {key: float(values[row]) for key, values in record.metrics.items()}
                    run.log_metrics(record.step, metrics, at_s)
                    self._told[position] = record.step
        self._n_logged = len(records)

    def _save(self) -> None:
        if self._state is None or time.monotonic() - self._saved_s < _SAVED_EVERY_S:
            return
        state = {
            "environment": _environment(),
            "keys": [job.key for job in self._jobs],
            "training": self._training.state(),
        }
        # A disk that is full costs the time that the state would save; a record will say so.
        with suppress(StoreError):
            write_state(self._state, state)
        self._saved_s = time.monotonic()

    def _resume(self) -> bool:
        """Go on from a saved state, if there is one of the same bits."""
        if self._state is None or not self._state.exists():
            return False
        try:
            state = read_state(self._state)
            if state.get("environment") == _environment():
                self._training.restore(state["training"])
                return True
        # A torn or foreign file costs the time that it would have saved, nothing else.
        except (StoreError, KeyError, TypeError, ValueError):
            self._training = self._from_the_start()
        return False

    def close(self, error: BaseException) -> None:
        """End the runs that are open as what ended them says."""
        if isinstance(error, Exception):
            self.forget()  # what raised once would raise again
        for position in list(self._runs):
            self._close_run(position, error)

    def _close_run(self, position: int, error: BaseException) -> None:
        run = self._runs.pop(position, None)
        if run is None:
            return
        # Where the store itself is what failed, the next start closes the run.
        with suppress(StoreError):
            close_run(run, error)
            self.closed[position] = run.run_id


def _environment() -> str:
    """Return what a training must go on with to have the same bits."""
    return f"{environment_digest()} {code_digest()}"


def _loss(record: Record) -> float | None:
    losses = record.metrics.get("train/loss")
    return None if losses is None or not len(losses) else float(losses[0])
