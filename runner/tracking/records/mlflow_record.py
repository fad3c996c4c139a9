"""Recorded runs of a store, found by id: tags, metrics and files that anybody may have edited."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from runner.system.errors import CommandError, RecordError, shorten
from runner.tracking.backend.address import resolve
from runner.tracking.backend.artifacts import read_artifact
from runner.tracking.backend.bulk_insert import metric_names
from runner.tracking.backend.client import follow_no_redirects, store_errors
from runner.tracking.backend.liveness import is_gone
from runner.tracking.backend.row_checks import in_record, metric_of, numbers_of, tags_of, texts_of
from runner.tracking.opening import connect
from runner.tracking.queries import final_metrics, matching_runs
from runner.tracking.run_writer import FAILURE, close_unclosed
from runner.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_ID = re.compile(r"[0-9a-f]{32}")
# The tag that names the parent of a job, by the kind of the parent.
_PARENT_TAGS = {
    "sweep": "runner.sweep",
    "rerun": "runner.sweep",
    "group": "mlflow.parentRunId",
}


def is_run_id(text: str) -> bool:
    """Tell whether a text can be the id of an MLflow run."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class StoredRun:
    """A run in a store, as text, numbers and bytes that anybody may have written.

    Parameters
    ----------
    store : Store
        Where it is.
    run : mlflow.entities.Run
        As MLflow has it.
    """

    store: Store = field(repr=False)
    run: Run = field(repr=False)

    @property
    def run_id(self) -> str:
        """MLflow's id."""
        return str(self.run.info.run_id)

    @property
    def name(self) -> str:
        """What the UI shows."""
        return str(self.run.info.run_name or "")

    @property
    def label(self) -> str:
        """The run, as messages name it."""
        return f"run {self.run_id}"

    @property
    def status(self) -> str:
        """As MLflow has it: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED."""
        return str(self.run.info.status)

    @property
    def failure(self) -> str | None:
        """Why it did not finish."""
        return self.tags.get(FAILURE)

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags; a RecordError if one of ours is no text."""
        return tags_of(self.run.data.tags)

    @property
    def params(self) -> Mapping[str, str]:
        """Its params."""
        return texts_of(self.run.data.params)

    @property
    def final(self) -> Mapping[str, float]:
        """The metrics of the weights that were kept, as tables show them."""
        return final_metrics(numbers_of(self.run.data.metrics))

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of one of its files, of at most `limit` bytes."""
        return read_artifact(self.store.client, self.store.address, self.run, name, limit)

    def metrics(self) -> Mapping[tuple[str, int], tuple[float, ...]]:
        """Return every value of every metric, by name and step; asked for once.

        Returns
        -------
        dict of (str, int) to tuple of float
            More than one value if the record holds different ones for one step. What tables show
            of a metric counts as a value of its last step.
        """
        return self._metrics

    @cached_property
    def _metrics(self) -> Mapping[tuple[str, int], tuple[float, ...]]:
        values: dict[tuple[str, int], dict[str, float]] = {}
        client = self.store.client
        shown = self.run.data.metrics
        with in_record(self.label, self.store.address.uri):
            # Tables show those that have a last value; the record of another may be there alone.
            for key in dict.fromkeys([*shown, *metric_names(client, self.run_id)]):
                last = 0
                for entry in client.get_metric_history(self.run_id, key):
                    name, step, value = metric_of(key, entry.step, entry.value)
                    # By its text, since one NaN is as good as another.
                    values.setdefault((name, step), {})[repr(value)] = value
                    last = max(last, step)
                if key in shown:
                    name, _, value = metric_of(key, last, shown[key])
                    values.setdefault((name, last), {})[repr(value)] = value
        return {at: tuple(distinct.values()) for at, distinct in values.items()}


def find_run(uri: str | None, run_id: str) -> StoredRun:
    """Find a run by its id. Runs that dead processes left RUNNING are closed, as at any start.

    Parameters
    ----------
    uri : str or None
        The store, as ``tracking.uri``.
    run_id : str
        MLflow's id.

    Raises
    ------
    CommandError
        If it is no id, or there is no such run.
    RecordError
        If the run was deleted, or its row in the database makes no sense.
    """
    if not is_run_id(run_id):
        raise CommandError(
            f"RUN_ID: must be the 32 hexadecimal digits of an MLflow run, got {shorten(run_id)}."
        )
    address = resolve(uri)
    unknown = CommandError(
        f"RUN_ID: must be a run of the store {address.shown}, got {run_id!r}. "
        "Another store is named with --uri."
    )
    if address.database is not None and not address.database.exists():
        raise unknown
    follow_no_redirects()
    client = connect(address, may_only_read=True)
    with in_record(f"run {run_id}", address.uri):
        from mlflow.exceptions import MlflowException

        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise unknown from None
            raise
        if run.info.run_id != run_id:
            raise RecordError(f"run {run_id}: must be what the store gives, got another run.")
        if run.info.lifecycle_stage == "deleted":
            raise RecordError(
                f"run {run_id}: was deleted. Bring it back with\n"
                f"  mlflow runs restore --run-id {run_id}"
            )
        experiment = _experiment_of(client, run)
    store = Store(
        address,
        client,
        experiment.experiment_id,
        experiment.name,
        is_named=uri is not None,
        is_trusted=False,
    )
    store.close_abandoned_runs()
    if run.info.status == "RUNNING":
        with store_errors(address.uri):
            if not store.is_read_only and is_gone(
                texts_of(run.data.tags).get("runner.process", "")
            ):
                close_unclosed(client, run_id)
            run = client.get_run(run_id)
    return StoredRun(store, run)


def _experiment_of(client: MlflowClient, run: Run) -> Experiment:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_experiment(run.info.experiment_id)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise RecordError(
            f"run {run.info.run_id}: must be in an experiment of the store, "
            f"got {shorten(run.info.experiment_id)}."
        ) from None


def stored_run(store: Store, run_id: str) -> StoredRun:
    """Return a run of a store that is open, by its id."""
    with in_record(f"run {run_id}", store.address.uri):
        return StoredRun(store, store.client.get_run(run_id))


def members_of(parent: StoredRun) -> Sequence[StoredRun] | None:
    """Return the jobs of a sweep or of a group, the best record of each; None for a single run."""
    tag = _PARENT_TAGS.get(parent.tags.get("runner.kind", ""))
    if tag is None:
        return None
    store = parent.store
    wanted = f"tags.`runner.kind` = 'run' and tags.`{tag}` = '{parent.run_id}'"
    jobs: dict[str, Run] = {}
    for run in matching_runs(
        store.client,
        store.address.uri,
        [store.experiment_id],
        wanted,
        order="ASC",
        label=f"a job of {parent.label}",
    ):
        if not is_run_id(run.info.run_id):
            raise RecordError(
                f"run {parent.run_id}: must have jobs with the ids of MLflow runs, "
                f"got {shorten(run.info.run_id)}."
            )
        # A job that failed and was run again has two: the one that ended well stands.
        key = texts_of(run.data.tags).get("runner.key", run.info.run_id)
        if key not in jobs or jobs[key].info.status != "FINISHED":
            jobs[key] = run
    return [StoredRun(store, run) for run in jobs.values()]
