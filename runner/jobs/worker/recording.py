"""One job in the store: begun, given all that it leaves, and ended as what it was.

A run is FINISHED only when its config, metrics and weights are stored. Nothing is trained here.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from runner.config import to_plain
from runner.jobs.plan import PlannedJob
from runner.system.environment import code_digest, environment_digest
from runner.system.errors import RunnerError
from runner.system.files import disk_error
from runner.system.signals import held
from runner.system.text import without_passwords
from runner.training.outcome import Outcome
from runner.training.prepare import Prepared
from runner.training.run_files import (
    RECORD,
    SCHEMA,
    SCHEMA_TAG,
    metrics_of,
    record_digests,
    write_run_files,
)
from runner.training.train import Result
from softnet import Network

if TYPE_CHECKING:
    from runner.tracking import RecordedRun, Store


def begin_run(
    store: Store,
    job: PlannedJob,
    *,
    sweep_id: str | None = None,
    parent_run_id: str | None = None,
    started_s: float | None = None,
    flush_every_s: float | None = None,
    result: Result | None = None,
    more_tags: Mapping[str, str] | None = None,
) -> RecordedRun:
    """Create the run of a job, with all that is known before it is trained.

    Parameters
    ----------
    store : Store
        Where it is recorded.
    job : PlannedJob
        What is run.
    sweep_id, parent_run_id : str or None
        The run of its sweep, and the run that it is listed under.
    started_s : float or None
        When its training began, in seconds since 1970; None for now.
    flush_every_s : float or None
        Seconds between two batches of metrics; None for the usual.
    result : Result or None
        What it left, where it has been trained already.
    more_tags : mapping of str to str or None
        Further tags of the run.

    Raises
    ------
    StoreError
        If the store fails.
    """
    tags = dict(more_tags or {}) | {
        "runner.kind": "run",
        "runner.varied": json.dumps(dict(job.varied)),
        **identity_tags(job),
    }
    if sweep_id is not None:
        tags["runner.sweep"] = sweep_id
    if result is not None:
        tags["runner.weights_sha256"] = result.weights_sha256
    more = {} if flush_every_s is None else {"flush_every_s": flush_every_s}
    params = to_plain(job.experiment)
    return store.start_run(job.name, params, tags, parent_run_id, started_s, **more)


def identity_tags(job: PlannedJob) -> dict[str, str]:
    """Return the tags that say what is run, on which rows and with which code."""
    return {
        SCHEMA_TAG: str(SCHEMA),
        "runner.key": job.key,
        "runner.data_digest": job.data_digest,
        "runner.split_digest": job.split_digest,
        "runner.environment": environment_digest(),
        "runner.code": code_digest(),
    }


def end_run(
    run: RecordedRun,
    store: Store,
    job: PlannedJob,
    prepared: Prepared,
    result: Result,
    *,
    with_pictures: bool,
    last_tags: Mapping[str, str] | None = None,
) -> Outcome:
    """Store all that a trained job leaves, and the end of its run last of all.

    Parameters
    ----------
    run : RecordedRun
        With its metrics logged already.
    store : Store
        Where it is.
    job : PlannedJob
        What was run.
    prepared : Prepared
        Its data.
    result : Result
        What it left.
    with_pictures : bool
        Whether to add figures and a loadable model.
    last_tags : mapping of str to str or None
        What is to be said of it once it is stored.

    Raises
    ------
    StoreError
        If the store or the disk fails.
    """
    experiment = job.experiment
    for step, metrics in result.last_entries:
        run.log_metrics(step, metrics, result.ended_s)
    tags = {"runner.weights_sha256": result.weights_sha256}
    run.set_tags(tags)
    run.log_datasets(prepared.dataset, prepared.split)
    with_pictures = with_pictures and not result.failure
    with scratch_folder() as folder:
        files = write_run_files(folder, experiment, prepared, result.weights)
        if with_pictures:
            from runner.figures import draw

            network = Network.from_weights(result.weights, experiment.model.activation)
            pictures = folder / "figures"
            draw(prepared, result, lambda X: network.predict_proba(X)[0], pictures, job.name)
        run.log_folder(folder)
        if with_pictures:
            store.log_model(run, prepared, result.weights, experiment.model.activation)
    # A run with this tag has left all its files, however it ends.
    facts = files | identity_tags(job) | tags
    digests = record_digests(facts, metrics_of(result), result.failure)
    run.set_tags({RECORD: digests, **(last_tags or {})})
    if result.failure:
        run.fail(result.failure, result.ended_s)
    else:
        run.finish(result.ended_s)
    return outcome_of(job, run.run_id, result)


def outcome_of(job: PlannedJob, run_id: str, result: Result) -> Outcome:
    """Return what became of a job that was trained."""
    return Outcome(
        name=job.name,
        run_id=run_id,
        status="FAILED" if result.failure else "FINISHED",
        varied=job.varied,
        metrics=result.final,
        failure=result.failure,
        duration_s=result.ended_s - result.started_s,
        n_steps=result.n_steps,
    )


def close_run(run: RecordedRun, error: BaseException) -> None:
    """End a run as what ended it says: FAILED by an error, KILLED by a signal."""
    if isinstance(error, Exception):
        run.fail(reason_of(error))
    else:
        run.kill()


def record_failure(
    store: Store,
    job: PlannedJob,
    reason: str,
    *,
    sweep_id: str | None,
    parent_run_id: str | None,
    more_tags: Mapping[str, str] | None = None,
) -> str:
    """Record a job that could not be trained at all, and return the id of its run.

    Raises
    ------
    StoreError
        If the store fails.
    """
    with held():  # a run that nobody knows of could not be closed
        run = begin_run(
            store, job, sweep_id=sweep_id, parent_run_id=parent_run_id, more_tags=more_tags
        )
        run.fail(reason)
    return run.run_id


def reason_of(error: Exception) -> str:
    """Say in words what failed; a defect of ours with the name of its kind."""
    told = str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
    return without_passwords(told)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for what is on its way to the store; say in words where there is no room."""
    try:
        with TemporaryDirectory(prefix="runner-") as scratch:
            yield Path(scratch)
    except OSError as error:
        place = error.filename or Path(tempfile.gettempdir(), "runner")
        raise disk_error(Path(str(place)), error) from error
