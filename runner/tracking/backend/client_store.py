"""Reads and writes a store by MLflow's client: a server, or a database of an unknown schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runner.system.errors import RecordError, shorten
from runner.system.text import elide
from runner.tracking.backend.artifacts import write_files
from runner.tracking.backend.client import prepare, store_errors, store_of
from runner.tracking.backend.rows import DatasetPart, Experiment, Run, RunChange, sound_runs
from runner.tracking.backend.sqlite import engine_of, tune

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A server can always say that there is one more page: this is for a million runs of a sweep, or
# 25 million values of a metric.
MAX_PAGES = 1000
_RUNS_PER_PAGE, _VALUES_PER_PAGE = 1000, 25_000
_QUOTES = set("'\"`\\")


def client_of_database(uri: str) -> MlflowClient:
    """Return MLflow's client of a database or a server."""
    prepare()
    from mlflow import MlflowClient

    with store_errors(uri):
        client = MlflowClient(uri)
        engine = engine_of(client)
        if engine is not None:
            tune(engine)
    return client


class ClientStore:
    """A store that MLflow's client reads and writes: a server, or a database of another kind."""

    # A server makes each run by a call of its own.
    runs_at_once = 1

    def __init__(self, uri: str, client_uri: str | None = None, remark: str | None = None) -> None:
        """Connect to a store; the client takes another URI than messages name where it must."""
        self.uri, self.remark = uri, remark
        self.unfit: dict[str, str] = {}
        self.client = client_of_database(client_uri or uri)

    @property
    def default_artifacts(self) -> str:
        """Where MLflow puts artifacts by default; empty for a server, which says so itself."""
        return str(getattr(store_of(self.client), "artifact_root_uri", ""))

    def close(self) -> None:
        """Close the connections to a database."""
        if (engine := engine_of(self.client)) is not None:
            engine.dispose()

    # Reading.

    @contextmanager
    def _reading(self, label: str) -> Iterator[None]:
        """Turn what MLflow raises about a row that it cannot read into a `RecordError`."""
        from mlflow.exceptions import MlflowException

        with store_errors(self.uri):
            try:
                yield
            except MlflowException as error:
                # INTERNAL_ERROR is MLflow's word for what fails after the database has answered.
                is_of_a_row = error.error_code == "INTERNAL_ERROR" or (
                    "Could not decode to UTF-8" in str(error)
                )
                if self.uri.startswith("http") or not is_of_a_row:
                    raise
                reason = str(error).strip().partition("\n")[0]
                raise RecordError(f"{label}: is no sound record: {elide(reason, 100)}.") from None

    def _or_none(self, call: Callable[[], Any], label: str) -> Any:  # noqa: ANN401  (MLflow's own)
        """Return what a call returns; None where there is no such run or experiment."""
        from mlflow.exceptions import MlflowException

        with self._reading(label):
            try:
                return call()
            except MlflowException as error:
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
                return None

    def experiments(self) -> list[Experiment]:
        """Return all experiments that are not deleted."""
        pages = _pages(self._experiments_page, "experiments")
        return [_experiment(experiment) for page in pages for experiment in page]

    def _experiments_page(self, token: str | None) -> Any:  # noqa: ANN401  (MLflow's list)
        with store_errors(self.uri):
            return self.client.search_experiments(page_token=token)

    def experiment(self, experiment_id: str) -> Experiment | None:
        """Return an experiment by its id."""
        label = f"experiment {shorten(experiment_id)}"
        found = self._or_none(lambda: self.client.get_experiment(experiment_id), label)
        return None if found is None else _experiment(found)

    def experiment_named(self, name: str) -> Experiment | None:
        """Return an experiment by its name, be it deleted."""
        with store_errors(self.uri):
            found = self.client.get_experiment_by_name(name)
        return None if found is None else _experiment(found)

    def run(self, run_id: str) -> Run | None:
        """Return a run by its id, be it deleted."""
        from mlflow.exceptions import MlflowException

        with self._reading(f"run {run_id}"):
            try:
                found = self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
        return _run(found)

    def runs(
        self,
        experiment_ids: Sequence[str],
        tags: Mapping[str, str],
        *,
        status: str | None = None,
        other_status: str | None = None,
        newest_first: bool = True,
        label: str = "a run of the store",
    ) -> Iterator[Run]:
        """Iterate over the runs of some experiments that have these tags, by their start."""
        if any(set(value) & _QUOTES for value in tags.values()):
            return  # MLflow's filter has no way to write such a text, and no tag of ours holds one
        parts = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
        parts += [] if status is None else [f"attributes.status = '{status}'"]
        parts += [] if other_status is None else [f"attributes.status != '{other_status}'"]
        order = [f"attributes.start_time {'DESC' if newest_first else 'ASC'}"]

        def fetch(token: str | None) -> Any:  # noqa: ANN401  (MLflow's list has no annotation)
            with self._reading(label):
                return self.client.search_runs(
                    list(experiment_ids), " and ".join(parts), 1, _RUNS_PER_PAGE, order, token
                )

        for page in _pages(fetch, "runs"):
            yield from sound_runs(map(_run, page), self.unfit)

    def metric_history(self, run_id: str, metric: str) -> Iterator[tuple[object, object]]:
        """Iterate over step and value of a metric; MLflow's call follows pages forever."""
        store = store_of(self.client)

        def fetch(token: str | None) -> Any:  # noqa: ANN401  (as above)
            with self._reading(f"run {run_id}"):
                return store.get_metric_history(run_id, metric, _VALUES_PER_PAGE, token)

        for page in _pages(fetch, f"metrics, {shorten(metric)}"):
            yield from ((entry.step, entry.value) for entry in page)

    def metric_names(self, run_id: str) -> list[str]:
        """Return the metrics of which a database has any value; none of a server."""
        from mlflow.store.tracking.dbmodels.models import SqlMetric

        store = store_of(self.client)
        if not hasattr(store, "ManagedSessionMaker"):
            return []
        with self._reading(f"run {run_id}"), store.ManagedSessionMaker() as session:
            rows = session.query(SqlMetric.key).filter_by(run_uuid=run_id).distinct()
            return [key for (key,) in rows]

    # Writing.

    def create_experiment(self, name: str, location: str | None) -> Experiment:
        """Make an experiment, or return the one that another process has just made."""
        from mlflow.exceptions import MlflowException

        with store_errors(self.uri):
            try:
                self.client.create_experiment(name, location)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            return _experiment(self.client.get_experiment_by_name(name))

    def begin(
        self, experiment_id: str, name: str, tags: Mapping[str, str], started_ms: int
    ) -> RunChange:
        """Create a run, whose id the store chooses."""
        with store_errors(self.uri):
            run = self.client.create_run(experiment_id, started_ms, dict(tags), run_name=name)
        return RunChange(run.info.run_id, str(run.info.artifact_uri))

    def write(self, changes: Sequence[RunChange]) -> None:
        """Write what is to be written of some runs, one after the other; their ends last."""
        with store_errors(self.uri):
            for change in changes:
                write_files(self, change.artifact_uri, change.files)
                self._write_rows(change)
                if change.datasets:
                    self._log_datasets(change.run_id, change.datasets)
                if change.removed_tag is not None:
                    self.client.delete_tag(change.run_id, change.removed_tag)
                if change.status == "RUNNING":
                    self.client.update_run(change.run_id, "RUNNING")
                elif change.status is not None:
                    self.client.set_terminated(change.run_id, change.status, change.ended_ms)

    def _write_rows(self, change: RunChange) -> None:
        from mlflow.entities import Metric, Param, RunTag

        if not (change.metrics or change.params or change.tags):
            return
        self.client.log_batch(
            change.run_id,
            metrics=[Metric(*metric) for metric in change.metrics],
            params=[Param(key, value) for key, value in change.params.items()],
            tags=[RunTag(key, value) for key, value in change.tags.items()],
            synchronous=True,
        )

    def _log_datasets(self, run_id: str, parts: Sequence[DatasetPart]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        inputs = [
            DatasetInput(Dataset(*part[:-1]), [InputTag("mlflow.data.context", part.context)])
            for part in parts
        ]
        try:
            self.client.log_inputs(run_id, datasets=inputs)
        except MlflowException as error:
            # MLflow looks for a dataset, then adds it; another process may add the same one in
            # between. The second time MLflow finds it.
            if "unique" not in str(error).lower():
                raise
            self.client.log_inputs(run_id, datasets=inputs)


def _experiment(experiment: Any) -> Experiment:  # noqa: ANN401  (MLflow's own)
    return Experiment(
        str(experiment.experiment_id),
        str(experiment.name),
        str(experiment.artifact_location or ""),
        experiment.lifecycle_stage == "deleted",
    )


def _run(run: Any) -> Run:  # noqa: ANN401  (MLflow's own)
    info, data = run.info, run.data
    return Run(
        run_id=str(info.run_id),
        experiment_id=str(info.experiment_id),
        name=str(info.run_name or ""),
        status=str(info.status),
        started_ms=info.start_time,
        ended_ms=info.end_time,
        artifact_uri=str(info.artifact_uri),
        is_deleted=info.lifecycle_stage == "deleted",
        tags=data.tags,
        params=data.params,
        metrics=data.metrics,
    )


def _pages(fetch: Callable[[str | None], Any], what: str) -> Iterator[Any]:
    """Iterate over the pages that MLflow returns, given the token of each."""
    token: str | None = None
    for _ in range(MAX_PAGES):
        page = fetch(token)
        yield page
        token = page.token
        if not token:
            return
    raise RecordError(f"{what}: must come on at most {MAX_PAGES:,} pages, got more.")
