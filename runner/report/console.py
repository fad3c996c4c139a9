"""The console: the listener that shows a person what happens while jobs run.

Announcements and the bar go to the error stream, results to the standard output.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from runner.jobs.events import (
    DataRead,
    Ended,
    Event,
    Finished,
    Interrupted,
    JobsEnded,
    Measured,
    Notice,
    Progress,
    RerunPlanned,
    Resumed,
    Started,
    SweepOpened,
    Waiting,
)
from runner.report.announcements import points_run_once, say_resume_hint, say_start
from runner.report.data import reading_lines
from runner.report.progress import ProgressBar
from runner.report.runs import print_metrics, print_run
from runner.report.sweep import SweepReport, print_sweep
from runner.report.table import say
from runner.system.errors import StoreError, Terminated

if TYPE_CHECKING:
    from runner.jobs.rerun.request import RerunRequest


class Console(AbstractContextManager["Console"]):
    """Shows each event of a session; a context manager that takes its bar away at the end.

    An interrupt of a rerun leaves nothing to go on with.

    Examples
    --------
    >>> with Console() as console:
    ...     console(Started("tutorial", 4000, "steps"))
    ...     console(Progress(2000, loss=0.12))
    """

    def __init__(self, *, is_of_rerun: bool = False) -> None:
        self._is_of_rerun = is_of_rerun
        self._rerun: RerunRequest | None = None
        self._has_compared = False
        self._is_sweep = False
        self._output_error: StoreError | None = None
        self._bar: ProgressBar | None = None
        self._left = 0.0
        self._resumed = set[Resumed]()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close_bar()
        is_interrupt = kind is not None and issubclass(kind, KeyboardInterrupt | Terminated)
        if self._is_of_rerun and is_interrupt and not self._has_compared:
            say("Interrupted before anything was compared. What is on record is as it was.")

    def __call__(self, event: Event) -> None:
        """Show an event, if it is one that a person should see."""
        match event:
            case Progress() | Ended():
                self._advance(event)
            case Started():
                self._start(event)
            case RerunPlanned():
                self._rerun = event.rerun
                if event.rerun.plan is None:
                    self._print_rerun(event.rerun, None)
            case SweepOpened():
                self._is_sweep = True
                say_start(event.plan, event.done, is_new=event.is_new)
            case Measured():
                self._print_metrics(event)
            case JobsEnded():
                self._close_bar()
            case Interrupted():
                self._close_bar()
                say_resume_hint()
            case Finished():
                self._close_bar()
                self._print_results(event)
            case _:
                _announce(event, self._resumed)

    def _start(self, event: Started) -> None:
        self._close_bar()
        self._bar, self._left = ProgressBar(event.n, event.name, unit=event.unit), float(event.n)

    def _advance(self, event: Progress | Ended) -> None:
        if self._bar is None:
            return
        if isinstance(event, Ended):
            if event.outcome is not None and event.outcome.status != "FINISHED":
                self._bar.count(event.outcome.status.lower())
        elif self._left > 0:
            # Jobs that are tried again are counted again.
            n = min(event.n, self._left)
            self._left -= n
            self._bar.advance(n, loss=event.loss)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print_metrics(self, event: Measured) -> None:
        if self._rerun is not None:
            return  # they come with the comparison
        self._close_bar()
        try:
            print_metrics(event)
        except StoreError as error:  # a full disk must not fail the run
            self._output_error = error
        if event.to_come:
            say(f"Recording {' and '.join(event.to_come)} ...")

    def _print_rerun(self, rerun: RerunRequest, event: Finished | None) -> None:
        """Print the results of a rerun; `event` is None where nothing could be run."""
        from runner.report.rerun import print_rerun

        self._close_bar()
        self._has_compared = True
        print_rerun(rerun, event)

    def _print_results(self, event: Finished) -> None:
        link = event.where or ""
        if self._rerun is not None:
            if event.outcomes or event.comparisons or self._rerun.unfit:
                self._print_rerun(self._rerun, event)
        elif not self._is_sweep:
            for outcome in event.outcomes.values():
                print_run(outcome, event.duration_s or 0.0, link)
            if self._output_error is not None:
                raise self._output_error
        else:
            stopped = ["Stopped by sweep.fail_fast."] if event.was_stopped else []
            report = SweepReport(
                name=event.plan.sweep_name,
                outcomes=[*event.outcomes.values()],
                n_jobs=event.plan.n_jobs,
                metric=event.plan.first.ranking_metric,
                link=link,
                duration_s=event.duration_s,
                summary=event.summary,
                notes=[*points_run_once(event.plan), *stopped],
                trained_on=event.trained_on,
                run_id=event.run_id,
                uri=event.uri,
                is_named=event.plan.first.tracking.uri is not None,
            )
            print_sweep(report)


def _announce(event: Event, resumed: set[Resumed]) -> None:
    """Say what an event means; of stacks that go on from the same step, which is in a set, once."""
    match event:
        case Notice():
            say(event.text)
        case Resumed() if event not in resumed:
            resumed.add(event)
            after = f", after epoch {event.epoch:,}" if event.epoch else ""
            say(f"Training goes on from step {event.step:,}{after}.")
        case Waiting():
            say(
                f"Process {event.process} is running this sweep; waiting for it, to go on with "
                "what it leaves."
            )
        case DataRead():
            say("\n".join(reading_lines(event.experiment, event.prepared)))
            if event.example:
                takes = "data.path=FILE data.target=COLUMN takes your table"
                say(f"{event.example} comes along; {takes}.")
            from runner.training.leaks import leaks  # NumPy, which a list of sweeps does without

            for leak in leaks(event.prepared):
                say(f"Warning: {leak}.")
