"""Recorded runs, found by id in a store or in a folder: what anybody may have edited since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, overload

from runner.system.errors import CommandError, RecordError, StoreError, shorten
from runner.system.files import disk_error
from runner.system.paths import expanded, is_folder
from runner.system.signals import raise_pending_sigterm
from runner.tracking.backend import rows
from runner.tracking.backend.address import resolve
from runner.tracking.backend.artifacts import folder_of, list_files, read_artifact
from runner.tracking.backend.liveness import is_gone
from runner.tracking.backend.rows import Run, RunChange, RunQuery, is_run_id, numbers_of, texts_of
from runner.tracking.opening import connect
from runner.tracking.queries import MEMBERS, REFIT, final_metrics, run_id_of, runs_of_jobs
from runner.tracking.records.export_folder import MEMBERS_FOLDER, ExportedRun
from runner.tracking.records.untrusted import parse_json
from runner.tracking.run_writer import FAILURE, close_unclosed
from runner.tracking.store import Store, StoreAddress
from runner.training.run_files import CLEANED, WEIGHTS

if TYPE_CHECKING:
    from runner.training.run_files import Metrics

# The tag that names the parent of a job, by the kind of the parent.
_PARENT_TAGS = dict.fromkeys(("sweep", "rerun"), "runner.sweep") | {"group": "mlflow.parentRunId"}
# Bytes of the largest files: plan and results of some hundred thousand jobs.
_LARGEST = 1 << 30
_LONGEST_NAME = 250


class StoredRun:
    """A run in a store, as text, numbers and bytes that anybody may have written.

    `label` names it in messages, and `final` has the metrics of the weights that were kept.
    """

    def __init__(self, store: Store, run: Run) -> None:
        self.store = store
        self.run = run
        self.run_id = run.run_id
        self.name = run.name
        self.label = f"run {self.run_id}"
        self.status = run.status
        self.failure = texts_of(run.tags).get(FAILURE)
        self.params: Mapping[str, str] = texts_of(run.params)
        self.final: Mapping[str, float] = final_metrics(numbers_of(run.metrics))

    @cached_property
    def tags(self) -> Mapping[str, str]:
        """Its tags; a RecordError if one of ours is no text."""
        return rows.tags_of(self.run.tags)

    def read(self, name: str, limit: int = _LARGEST) -> bytes:
        """Return the content of one of its files, of at most `limit` bytes."""
        return read_artifact(self.store.backend, self.store.address, self.run, name, limit)

    def files(self, under: str) -> list[str]:
        """Return the paths of the files in one of its folders."""
        return list_files(self.store.backend, self.store.address, self.run, under)

    @cached_property
    def metrics(self) -> Metrics:
        """Every value of every metric, by name and step.

        There is more than one where the record holds different ones for a step. What tables show
        of a metric counts as a value of its last step.
        """
        history = self.store.backend.metric_values(self.run_id)
        entries = [rows.metric_of(*row) for row in history]
        last = {name: max(step, 0) for name, step, _ in sorted(entries, key=lambda row: row[1])}
        entries += [rows.metric_of(k, last.get(k, 0), v) for k, v in self.run.metrics.items()]
        values: dict[tuple[str, int], dict[str, float]] = {}
        for name, step, value in entries:
            # By its text, since one NaN is as good as another.
            values.setdefault((name, step), {})[repr(value)] = value
        return {at: tuple(distinct.values()) for at, distinct in values.items()}


def find_source(
    target: str, uri: str | None, artifacts: str | None = None
) -> ExportedRun | StoredRun:
    """Find what a person means: a run or sweep in the store at `uri`, or an exported folder."""
    if not is_run_id(target) and is_folder(target):
        # Opening a store does this too.
        raise_pending_sigterm()
        return ExportedRun(expanded(target))
    return find_run(uri, target, artifacts)


def find_run(uri: str | None, text: str, artifacts: str | None = None) -> StoredRun:
    """Find a run in the store at a ``tracking.uri``, by what `run_id_of` takes.

    `artifacts` is ``tracking.artifacts``, as the person and no record says it.
    Runs that dead processes left RUNNING are closed, as at any start. A `CommandError` says that
    there is no such run, a `RecordError` that it was deleted or that its row makes no sense.
    """
    if not text.isprintable() or not 0 < len(text.strip()) <= _LONGEST_NAME:
        raise CommandError(
            f"RUN: must be a run's id, a sweep's name, or a folder that runner export made, got "
            f"{shorten(text)}."
        )
    address = resolve(uri, artifacts)
    unknown = CommandError(
        f"RUN: must be a run or a sweep of the store {address.shown}, got {shorten(text)}. "
        "Another store is named with --uri."
    )
    if address.database is not None and not address.database.exists():
        raise unknown
    backend = connect(address, may_only_read=True)
    run_id = run_id_of(backend, text, address.shown)
    run = backend.run(run_id)
    if run is None:
        raise unknown
    if run.run_id != run_id:
        raise RecordError(f"run {run_id}: must be what the store gives, got another run.")
    if run.is_deleted:
        command = f"mlflow runs restore --run-id {run_id}"
        raise RecordError(f"run {run_id}: was deleted. Bring it back with\n  {command}")
    experiment = backend.experiment(run.experiment_id)
    if experiment is None:
        raise RecordError(
            f"run {run_id}: must be in an experiment of the store, "
            f"got {shorten(run.experiment_id)}."
        )
    place = StoreAddress(
        *(address.shown, experiment.experiment_id, experiment.name, uri is not None),
        is_trusted=False,
        artifacts=address.place,
    )
    store = Store(place, address, backend)
    store.close_abandoned_runs()
    if run.status == "RUNNING":
        process = texts_of(run.tags).get("runner.process", "")
        if is_gone(process) and not store.is_read_only:
            close_unclosed(backend, [run_id])
        run = backend.run(run_id) or run
    return StoredRun(store, run)


def stored_run(store: Store, run_id: str) -> StoredRun:
    """Return a run of a store that is open, by its id."""
    run = store.backend.run(run_id)
    if run is None:
        raise StoreError(f"{store.address.shown}: has no run {run_id} any more")
    return StoredRun(store, run)


def weights_size(source: StoredRun) -> int:
    """Return how many bytes the weights of a run take; 0 where there are none.

    Raises `CommandError` if a server has them: it removes nothing on request.
    """
    address = source.store.address
    if address.database is None:
        raise CommandError(f"{address.shown}: must be a SQLite file for files to be removed.")
    with suppress(OSError):
        file = folder_of(address, source.run) / WEIGHTS
        return file.stat().st_size if file.is_file() and not file.is_symlink() else 0
    return 0


def remove_weights(source: StoredRun) -> None:
    """Remove the weights of a run, whose digest stays: a rerun that has it brings them back."""
    source.store.set_tags(source.run_id, {CLEANED: "true"})
    file = folder_of(source.store.address, source.run) / WEIGHTS
    try:
        file.unlink()
    except OSError as error:
        raise disk_error(file, error) from error


def restore_weights(source: StoredRun, content: bytes) -> None:
    """Give a run its weights again."""
    change = RunChange(source.run_id, source.run.artifact_uri, removed_tag=CLEANED)
    change.files[WEIGHTS] = content
    source.store.backend.write([change])


@overload
def members_of(parent: StoredRun) -> Sequence[StoredRun] | None: ...
@overload
def members_of(parent: ExportedRun) -> Sequence[ExportedRun] | None: ...
def members_of(parent: StoredRun | ExportedRun) -> Sequence[StoredRun | ExportedRun] | None:
    """Return the jobs of a sweep or of a group, the best record of each; None for a single run.

    Of an ensemble its members, each once, in their order. Exported groups name theirs, too. Raises
    `RecordError` if an ensemble does not name them, or lacks one.
    """
    kind = parent.tags.get("runner.kind", "")
    if kind == "ensemble" or (kind == "group" and isinstance(parent, ExportedRun)):
        ids = dict.fromkeys(member_ids(parent))
        if isinstance(parent, ExportedRun):
            return [ExportedRun(parent.folder / MEMBERS_FOLDER / run_id) for run_id in ids]
        found = {run_id: parent.store.backend.run(run_id) for run_id in ids}
        for run_id, run in found.items():
            if run is None or run.is_deleted:
                raise RecordError(f"{parent.label}: lacks its member {run_id}.")
        return [StoredRun(parent.store, run) for run in found.values() if run is not None]
    tag = _PARENT_TAGS.get(kind)
    if tag is None or isinstance(parent, ExportedRun):
        return None
    store, label = parent.store, f"a job of {parent.label}"
    tags = {"runner.kind": "run", tag: parent.run_id}
    runs = store.backend.runs(
        RunQuery([store.experiment_id], tags, newest_first=False, label=label)
    )
    return [StoredRun(store, run) for run in runs_of_jobs(runs).values()]


def refit_of(sweep: StoredRun) -> StoredRun | None:
    """Return the run in which the best of a sweep was trained once more, if there is one."""
    run_id = sweep.tags.get(REFIT, "")
    return stored_run(sweep.store, run_id) if is_run_id(run_id) else None


def member_ids(ensemble: StoredRun | ExportedRun) -> list[str]:
    """Return the ids of an ensemble's members, each as often as it is one."""
    ids = parse_json(ensemble.tags.get(MEMBERS, "").encode(errors="replace"), MEMBERS)
    if not isinstance(ids, list) or not all(isinstance(i, str) and is_run_id(i) for i in ids):
        raise RecordError(f"{ensemble.label}: {MEMBERS}: must be a list of runs.")
    return ids
