"""One job in the store: its run begun, given all that the job left, and ended as what it was.

A run is FINISHED only when its config, metrics and weights are stored.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from runner.config.fingerprint import SCHEMA
from runner.config.plain import to_plain
from runner.jobs.events import Ended, Measured
from runner.jobs.plan import PlannedJob
from runner.jobs.worker.task import Task, TaskJob
from runner.system.errors import RunnerError, Terminated
from runner.system.files import disk_error
from runner.system.signals import deferred_signals, raise_pending_sigterm
from runner.system.text import without_passwords
from runner.tracking import FLUSH_EVERY_S, PRUNED_AT, ROWS, logged, model_facts, model_name
from runner.tracking.notes import NOTE, run_note
from runner.training.data.arrow import parquet
from runner.training.environment import code_digest, environment_digest
from runner.training.outcome import Outcome, epoch_at
from runner.training.prepare import Prepared, Trained, require_fit
from runner.training.run_files import (
    PREDICTIONS,
    RECORD,
    metrics_of,
    prediction_table,
    record_digests,
    run_files,
    sha256,
)
from runner.training.train import Result
from softnet import Network

if TYPE_CHECKING:
    from runner.tracking import RunWriter, Store


# Tells whether a worker is to leave its task: it was given up, or whoever gave it is gone.
Stop = Callable[[], bool]


def never() -> bool:
    """Tell a worker to go on; what ends it is a signal."""
    return False


def begin_run(
    store: Store,
    task: Task,
    job: TaskJob,
    started_s: float | None = None,
    flush_every_s: float = FLUSH_EVERY_S,
    *,
    is_shown: bool = True,
) -> RunWriter:
    """Begin the run of a job, with all that is known before it is trained.

    Its training began at `started_s`, in seconds since 1970 (by default now), and its metrics are
    written every `flush_every_s` seconds, unless it is not shown before its end.
    """
    planned = job.planned
    tags = {
        "runner.kind": "run",
        **_identity_tags(planned),
        "runner.varied": json.dumps(dict(planned.varied)),
        "runner.choices": json.dumps(dict(planned.choices)),
    }
    if (step := planned.experiment.training.pruned_at_step) is not None:
        tags |= {"runner.pruned": "true", PRUNED_AT: str(step)}
    if task.sweep_id is not None:
        tags |= {"runner.sweep": task.sweep_id, "runner.stack": task.stack}
    if job.reference is not None:
        from runner.jobs.rerun.verify import links_to  # which a run that repeats none does without

        tags |= links_to(job.reference.target, store.experiment_id, job.reference.origin)
    params, parent, tags = to_plain(planned.experiment), job.parent_run_id, {**tags, **task.tags}
    return store.start_run(
        planned.name, params, tags, parent, started_s, flush_every_s, is_shown=is_shown
    )


def _identity_tags(job: PlannedJob) -> dict[str, str]:
    """Return the tags that say what is run, on which rows and with which code."""
    return {
        "runner.schema": str(SCHEMA),
        "runner.key": job.key,
        "runner.data_digest": job.data_digest,
        "runner.split_digest": job.split_digest,
        "runner.environment": environment_digest(),
        "runner.code": code_digest(),
    }


def end_run(
    run: RunWriter,
    store: Store,
    job: PlannedJob,
    prepared: Prepared,
    result: Result,
    *,
    is_alone: bool,
    last_tags: Mapping[str, str],
    stop: Stop = never,
) -> Iterator[Measured]:
    """Log all that a trained job leaves, and the end of its run, which the next batch writes.

    Its history has been logged already. A run that is alone is told when its metrics are stored,
    and gets the figures and the loadable model that `tracking` asks for. Raises `Terminated` if the
    worker is to `stop`: its job may be another's by now, who is to finish it.
    """
    experiment, tracking = job.experiment, job.experiment.tracking
    for step, metrics in result.last_entries:
        run.log_metrics(step, metrics, result.ended_s)
    tags = {"runner.weights_sha256": result.weights_sha256}
    run.set_tags(tags | {ROWS: json.dumps(prepared.n_rows)})
    run.log_datasets(prepared.dataset, prepared.split)
    files = run_files(experiment, prepared, result.weights)
    run.log_files(files)
    wanted = {"figures": tracking.figures, "model": tracking.model}
    is_shown = is_alone and not result.failure
    to_come = tuple(what for what, is_wanted in wanted.items() if is_shown and is_wanted)
    if is_shown:
        run.flush()
        trained_on = prepared.summary
        model = model_name(experiment.name) if "model" in to_come else ""
        of_run = job.name, run.run_id, trained_on, result.final, model
        note = run_note(*of_run, store.address.shown, to_plain(experiment))
        run.set_tags({"runner.trained_on": trained_on, NOTE: note})
        # Of many classes there are no metrics for each.
        class_names = dict(zip(prepared.target.labels, prepared.target.names, strict=False))
        yield Measured(
            job.name,
            result.final,
            result.n_steps,
            result.ended_s - result.started_s,
            to_come,
            trained_on,
            class_names,
        )
    if is_shown:
        network = Network.from_weights(result.weights, require_fit(experiment, prepared).network)
        if parts := [part for part in prepared.parts if part != "train"]:
            predicted = {part: network.predict(prepared.examples(part).X)[0] for part in parts}
            run.log_files({PREDICTIONS: parquet(prediction_table(prepared, predicted))})
    if "figures" in to_come:
        _log_figures(run, job.name, prepared, result, network)
    if "model" in to_come:
        logs = [metric for entry in result.kept_entries for metric in logged(*entry)]
        about = model_facts(experiment, logs, prepared)
        store.log_model(run, Trained(prepared, result.weights, network.settings), facts=about)
    raise_pending_sigterm()  # figures and model have loaded libraries
    # A run with this tag has left all its files, however it ends.
    facts = {name: sha256(content) for name, content in files.items()} | _identity_tags(job) | tags
    digests = record_digests(facts, metrics_of(result), result.failure)
    run.set_tags({RECORD: digests, **last_tags})
    if run.is_shown or store.backend.runs_at_once == 1:
        run.flush()  # nothing but its end is left to be written
    if stop():
        raise Terminated
    run.set_end(result.failure, result.ended_s)


def _log_figures(
    run: RunWriter, name: str, prepared: Prepared, result: Result, network: Network
) -> None:
    from runner.figures import draw

    with scratch_folder() as folder:
        draw(prepared, result, lambda X: network.predict(X)[0], folder, name)
        run.log_folder(folder, "figures")


def outcome_of(job: PlannedJob, run_id: str, result: Result, prepared: Prepared) -> Outcome:
    """Return what became of a job that was trained."""
    step = job.experiment.training.pruned_at_step
    return Outcome(
        name=job.name,
        run_id=run_id,
        status="FAILED" if result.failure else "PRUNED" if step else "FINISHED",
        varied=job.varied,
        metrics=result.final,
        failure=result.failure,
        duration_s=result.ended_s - result.started_s,
        n_steps=result.n_steps,
        rows=prepared.n_rows,
        pruned_at_step=step,
        pruned_at_epoch=epoch_of(job, prepared, step),
    )


def epoch_of(job: PlannedJob, prepared: Prepared, step: int | None) -> int | None:
    """Return the last epoch that a job has ended by a step; None where it is not in epochs."""
    training = job.experiment.training
    batch_size = training.batch_size if training.batch_size != "auto" else 0
    return epoch_at(step, prepared.n_rows["train"], batch_size, training.epochs or 0)


def close_run(run: RunWriter, error: BaseException) -> None:
    """End a run as what ended it says: FAILED by an error, KILLED by a signal."""
    if isinstance(error, Exception):
        run.fail(reason_of(error))
    else:
        run.kill()


def record_failure(store: Store | None, task: Task, job: TaskJob, reason: str) -> Ended:
    """Record a job that could not be trained, where there is a store."""
    run_id = ""
    if store is not None:
        with deferred_signals():  # a run that nobody knows of could not be closed
            run = begin_run(store, task, job, is_shown=False)
            run.fail(reason)
        run_id = run.run_id
    return failed(job, reason, run_id)


def failed(job: TaskJob, reason: str, run_id: str) -> Ended:
    """Return the end of a job whose run says that it failed."""
    name, varied = job.planned.name, job.planned.varied
    return Ended(job.position, Outcome(name, run_id, "FAILED", varied, {}, reason, 0.0))


def settled(
    store: Store, task: Task, counts_failed: Callable[[str], bool] = lambda _: False
) -> list[Ended]:
    """Close what dead workers left RUNNING of a task's jobs, and return the ends of the others.

    A job whose run FINISHED is done, though its worker could not say so any more; one whose run
    FAILED where `counts_failed` says so of the run's id. One that is compared with a record is not:
    the comparison died with the worker, so the run is closed and the job tried again.
    """
    jobs = {job.planned.key: job for job in task.jobs}
    compared = {key for key, job in jobs.items() if job.reference and job.reference.compares}
    recorded = store.sweeps.settle_stack(
        store.experiment_id, task.sweep_id, task.stack, jobs, counts_failed, compared
    )
    return [
        Ended(job.position, replace(outcome, name=job.planned.name, varied=job.planned.varied))
        for job, outcome in ((jobs[key], outcome) for key, outcome in recorded.items())
    ]


def reason_of(error: Exception) -> str:
    """Say in words what failed; a defect of ours with the name of its kind."""
    reason = str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
    return without_passwords(reason)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for what is on its way to the store; say in words where there is no room."""
    try:
        with TemporaryDirectory(prefix="runner-") as scratch:
            yield Path(scratch)
    except OSError as error:
        place = error.filename or Path(tempfile.gettempdir(), "runner")
        raise disk_error(Path(str(place)), error) from error
