"""A run or a sweep: from composed jobs to the results on the screen and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

from runner.config.search import GridSearch
from runner.jobs.events import Finished, Listener, Notice
from runner.jobs.executors import executor_of
from runner.jobs.executors.local import InProcess
from runner.jobs.plan import Job, Plan, make_plan
from runner.jobs.search import check_rungs
from runner.jobs.session import Request, preview, run
from runner.report.announcements import print_plan
from runner.report.console import Console
from runner.system.errors import ConfigError, RunnerError, StoreError, Unrecorded
from runner.system.process import begin_garbage_collection, n_physical_cores
from runner.tracking import Store, find_store, open_store, require_shared, unrecorded_notice
from runner.tracking.notes import serve_command


def run_jobs(jobs: Sequence[Job], *, is_sweep: bool) -> int:
    """Train and record the jobs of one command, print their results, return the exit code.

    Asked for as a sweep, a single job is one too. The code is 0 if all is well, 1 if runs failed.
    """
    _refuse_local_store(jobs[0], is_sweep=is_sweep)
    plan = make_plan(jobs)
    begin_garbage_collection()
    first = plan.first
    if not is_sweep and first.search != GridSearch():
        raise ConfigError.plain(
            "search: must come with --multirun, which makes a sweep, got a single run; leave out "
            "search=... for that."
        )
    if first.sweep.dry_run:
        existing = find_store(first.tracking.uri, first.tracking.experiment, plan.experiment_name)
        planned = preview(plan, existing, first.sweep.n_workers or n_physical_cores())
        print_plan(planned.plan, planned.done, planned.stacks, planned.n_workers)
        return 0
    with Console() as console:
        finished = run_plan(plan, console, is_sweep=is_sweep)
    asked = (finished.outcomes.get(position) for position in finished.plan.asked)
    return int(any(outcome and outcome.status in ("FAILED", "KILLED") for outcome in asked))


def run_plan(plan: Plan, listener: Listener, *, is_sweep: bool) -> Finished:
    """Run what is missing of a plan, and record it in the store that its settings name.

    Raises `RunnerError` also if results are kept on disk, because the store did not answer.
    """
    first = plan.first
    if plan.problem is not None:
        raise plan.problem  # before a store is made for nothing
    check_rungs(plan)
    store = open_store(
        first.tracking.uri,
        first.tracking.experiment,
        plan.experiment_name,
        artifacts=first.tracking.artifacts,
        is_durable=first.tracking.durability == "full",
    )
    executor = executor_of(first.executor, first.sweep.n_workers) if is_sweep else InProcess()
    if first.tracking.model:
        store.prepare_model()
    try:
        finished = run(Request(plan, is_sweep=is_sweep), store, executor, listener)
    except StoreError as error:
        if not store.n_unrecorded:
            raise
        raise Unrecorded(f"{error}\n{unrecorded_notice(store)}") from error
    finally:
        store.forget_model()
    if store.n_unrecorded:
        raise Unrecorded(unrecorded_notice(store))
    if first.tracking.register is not None:
        listener(Notice(_register(store, finished, first.tracking.register, is_sweep=is_sweep)))
    return finished


def _register(store: Store, finished: Finished, name: str, *, is_sweep: bool) -> str:
    """Make the model of a run, or of a sweep's best one, the champion under a name; say so.

    Raises `RunnerError` if what has finished was recorded without one.
    """
    run_id = finished.run_id
    if not is_sweep:
        run_id = finished.outcomes[finished.plan.asked[0]].run_id
    version = None if not run_id else store.register(run_id, name)
    if version is None:
        text = f"There is no model to be registered as {name}"
        if any(outcome.status == "FINISHED" for outcome in finished.outcomes.values()):
            hint = "sweep.restart=true runs it again" if is_sweep else "the same command makes one"
            raise RunnerError(f"{text}: what has finished was recorded without; {hint}.")
        return f"{text}."
    serve = serve_command(store.address.shown, f"models:/{name}@champion")
    return f"Registered as version {version} of {name}, its champion. Serve it:\n  {serve}"


def _refuse_local_store(job: Job, *, is_sweep: bool) -> None:
    """Refuse a store that a cluster's workers do not reach, before thousands of jobs are planned.

    Other faults of the config are the plan's to find.
    """
    sections = [job.config.get(name) for name in ("executor", "tracking")]
    executor, tracking = (s if isinstance(s, dict) else {} for s in sections)
    if is_sweep and executor.get("name") == "dask" and isinstance(tracking.get("uri"), str | None):
        require_shared(tracking.get("uri"))
