"""One rerun at work: the jobs run, in this process or in workers, and what came of each gathered.

It must not know Hydra or MLflow, nor how a person is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from runner.jobs.executors.local import Crashed, Engine, Work, n_cores
from runner.jobs.plan import Plan
from runner.jobs.rerun.comparison import Comparison, Verdict, cannot_compare
from runner.jobs.rerun.repetition import Repeated, Repetition, differences_here
from runner.jobs.rerun.request import Options, Request
from runner.jobs.rerun.verify import Rerun, Unfit, links_to, rerun_work
from runner.jobs.stacks import stacks
from runner.jobs.worker.recording import close_run
from runner.jobs.worker.task import Ended, Progress
from runner.report.progress import progress
from runner.system.errors import RecordError, StoreError, Terminated
from runner.system.signals import held, raise_what_was_swallowed

if TYPE_CHECKING:
    from runner.tracking import RecordedRun, Store

# The tag of an original for each of its reruns ends in the rerun's id, and holds the verdict: no
# two reruns at once write to the same place.
_RERUN = "runner.rerun."


def run_request(repetition: Repetition, options: Options) -> None:
    """Run what was asked for, compare, and record it unless it is only checked.

    Parameters
    ----------
    repetition : Repetition
        It is filled, as far as it gets: an interrupt leaves in it what was compared by then.
    options : Options

    Raises
    ------
    RunnerError
        If a single run cannot be repeated, or if the store fails.
    """
    started = time.monotonic()
    asked = repetition.request
    found: dict[int, Repeated] = {}
    unfit = [
        Repeated(source.name, source.run_id, None, cannot_compare(reason))
        for source, reason in asked.unfit
    ]
    raise_what_was_swallowed()  # the data have loaded libraries too
    try:
        if asked.plan is None:
            repetition.jobs = unfit
            return
        store = None if options.check else asked.store
        with _recorded(asked, store, repetition) as parent:
            try:
                _run(asked, asked.plan, store, parent, found)
            finally:
                repetition.jobs = [found[position] for position in sorted(found)] + unfit
        repetition.differences = differences_here(asked, asked.plan, found)
    except (KeyboardInterrupt, Terminated):
        repetition.is_interrupted = True
        raise
    finally:
        repetition.duration_s = time.monotonic() - started


def _run(
    asked: Request,
    plan: Plan,
    store: Store | None,
    parent: RecordedRun | None,
    found: dict[int, Repeated],
) -> None:
    """Run all jobs of a plan, and note what comes of each."""
    fit = [position for position, job in enumerate(plan.jobs) if job.problem is None]
    for position, job in enumerate(plan.jobs):
        if job.problem is not None:
            found[position] = _without_a_run(asked, position, str(job.problem))
    rerun = Rerun(
        plan,
        store,
        frozenset(fit),
        alone=asked.parent is None,
        sweep_id=parent.run_id if parent else None,
        originals=asked.originals,
        compares=asked.compares,
    )
    late: list[Ended] = []
    events = _alone(rerun) if rerun.alone else _in_workers(asked, rerun, fit, late)

    def take(event: Ended) -> None:
        repeated = _repeated(asked, plan, event)
        with held():  # what is told has its link, and the other way round
            found[event.position] = repeated
            if store is not None:
                _link(store, repeated, compares=asked.compares)

    with (
        _taking_what_comes_late(late, take),
        closing(events),
        closing(_with_progress(asked, rerun, events)) as shown,
    ):
        for event in shown:
            match event:
                case Unfit() if rerun.alone:
                    raise RecordError(event.reason)
                case Unfit():
                    found[event.position] = _without_a_run(asked, event.position, event.reason)
                case Ended():
                    take(event)


def _with_progress(asked: Request, rerun: Rerun, events: Events) -> Events:
    """Go through events, and move the bar meanwhile."""
    if asked.parent is None:
        (job,) = rerun.plan.jobs
        total, unit, name = (job.shape.settings.n_steps if job.shape else 1), "steps", job.name
        per_job = 2 * total  # half of a job is its training, half its record
    else:
        total, unit, name, per_job = len(rerun.wanted), "jobs", asked.parent.name, 1
    with progress(total, name, unit=unit) as advance:
        done = 0.0
        for event in events:
            match event:
                case Progress():
                    more = min(event.n_jobs * per_job, total - done)
                    advance(more, loss=event.loss)
                    done += more
                case Unfit():
                    advance(1)
            yield event


@contextmanager
def _taking_what_comes_late(late: list[Ended], take: Callable[[Ended], None]) -> Iterator[None]:
    """Take the jobs too that ended while an interrupt ended the workers."""
    try:
        yield
    finally:
        # Where the store is what failed, the error that ends all of this says so.
        with suppress(StoreError):
            for event in late:
                take(event)


def _repeated(asked: Request, plan: Plan, event: Ended) -> Repeated:
    original = asked.originals[event.position]
    comparison = event.judgement if isinstance(event.judgement, Comparison) else None
    planned = plan.jobs[event.position]
    run_id = original.run_id
    return Repeated(planned.name, run_id, event.outcome, comparison, original, planned)


def _without_a_run(asked: Request, position: int, reason: str) -> Repeated:
    source = asked.originals[position]
    return Repeated(source.name, source.run_id, None, cannot_compare(reason))


def _link(store: Store, repeated: Repeated, *, compares: bool) -> None:
    """Let the original name its rerun, as the rerun names its original."""
    outcome, comparison = repeated.outcome, repeated.comparison
    if outcome is not None and outcome.run_id:
        broke_off = "broke off" if compares else "with other settings"
        told = str(comparison.verdict) if comparison else broke_off
        store.set_tags(repeated.original_id, {f"{_RERUN}{outcome.run_id}": told})


Events = Generator[object, None, None]


def _alone(rerun: Rerun) -> Events:
    """Run the only job in this process."""
    yield from rerun_work(rerun)((0,))


def _in_workers(asked: Request, rerun: Rerun, fit: list[int], late: list[Ended]) -> Events:
    """Run jobs as stacks in workers; those of a worker that dies each have another try.

    Those that end while an interrupt ends the workers are added to `late`.
    """
    plan, reading = rerun.plan, asked.store
    n_workers = plan.first.sweep.n_workers or n_cores()
    left = set(fit)

    @contextmanager
    def workplace() -> Iterator[Work]:
        with reading.in_a_fork() if reading else nullcontext():
            yield rerun_work(rerun)

    engine = Engine(n_workers, workplace, stacks(plan, fit, n_workers))
    try:
        with engine:
            for event in engine.events():
                match event:
                    case Ended() | Unfit():
                        left.discard(event.position)
                        yield event
                    case Crashed():
                        again = [position for position in event.task if position in left]
                        if len(event.task) == 1:
                            left.difference_update(again)
                            for position in again:
                                yield rerun.fail(position, event.reason)
                        else:
                            engine.add([(position,) for position in again])
                    case _:
                        yield event
    finally:
        late += [event for event in engine.late if isinstance(event, Ended)]


@contextmanager
def _recorded(
    asked: Request, store: Store | None, repetition: Repetition
) -> Iterator[RecordedRun | None]:
    """Give the run of a whole sweep's rerun, and an honest end to it; None for a single run."""
    if store is None or asked.parent is None:
        yield None
        return
    original = asked.parent
    tags = links_to(original.run_id, store.experiment_id) | {"runner.kind": "rerun"}
    run = None
    try:
        with held():  # a run that nobody knows of could not be closed
            run = store.start_run(original.name, {}, tags)
        repetition.run_id = run.run_id
        yield run
        counts = {
            f"n_{verdict.name.lower()}": float(repetition.count(verdict)) for verdict in Verdict
        }
        run.log_metrics(0, counts)
        store.close_abandoned_runs()  # of workers that died
        # One that diverged as its original did has not failed to repeat it.
        n_failed = sum(job.comparison is None and job.has_failed for job in repetition.jobs)
        if n_failed:
            run.fail(f"{n_failed:,} of {len(repetition.jobs):,} jobs failed")
        else:
            run.finish()
        store.set_tags(original.run_id, {f"{_RERUN}{run.run_id}": _summary(repetition)})
    except BaseException as error:
        # Where the store itself is what failed, the next start closes the runs.
        with suppress(StoreError):
            if run is not None:
                close_run(run, error)
            store.close_abandoned_runs()
        raise


def _summary(repetition: Repetition) -> str:
    if not repetition.request.compares:
        return "with other settings"
    n_identical = repetition.count(Verdict.IDENTICAL)
    return f"{n_identical:,} of {len(repetition.jobs):,} identical"
