"""Reads and writes a store by MLflow's client: a server, or a database of an unknown schema."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.system.errors import RecordError, StoreError, StoreLost, shorten
from runner.system.text import elide, without_passwords
from runner.tracking.backend.artifacts import write_files
from runner.tracking.backend.client import (
    Ignoring,
    asked_once,
    client_of,
    disconnect,
    store_errors,
    store_of,
)
from runner.tracking.backend.rows import (
    DatasetPart,
    Experiment,
    Run,
    RunChange,
    RunQuery,
    close_before_forks,
    sound_runs,
)
from runner.tracking.backend.unrecorded import ATTEMPT, keep, kept_files, locked, read_kept

if TYPE_CHECKING:
    from mlflow.entities import Experiment as MlflowExperiment
    from mlflow.entities import Run as MlflowRun

_RUNS_PER_PAGE = 1000
# How often a run is asked for, and how long a server that has failed is not asked again.
_TRIES, _WAITS_S, _LEFT_ALONE_S = 3, 0.5, 30.0
_QUOTES = set("'\"`\\")


class ClientStore:
    """A store that MLflow's client reads and writes: a server, or a database of another kind."""

    # A server makes each run by a call of its own.
    runs_at_once = 1
    is_durable = True

    def __init__(self, uri: str, remark: str | None = None) -> None:
        self.uri, self.remark = uri, remark
        self.unfit: dict[str, str] = {}
        self.left: dict[Path, str] = {}
        self.keeps = uri.startswith("http")
        self._asks_from_s = 0.0
        self.client = client_of(uri)
        close_before_forks(self)

    @property
    def default_artifacts(self) -> str:
        """Where MLflow puts artifacts by default; empty for a server, which says so itself."""
        return str(getattr(store_of(self.client), "artifact_root_uri", ""))

    def close(self) -> None:
        disconnect(self.client)

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

    def experiments(self) -> list[Experiment]:
        def fetch(token: str | None) -> Any:  # noqa: ANN401  (MLflow's list has no annotation)
            with store_errors(self.uri):
                return self.client.search_experiments(page_token=token)

        return [_experiment(experiment) for experiment in _pages(fetch)]

    def experiment(self, experiment_id: str) -> Experiment | None:
        with (
            self._reading(f"experiment {shorten(experiment_id)}"),
            Ignoring("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"),
        ):
            return _experiment(self.client.get_experiment(experiment_id))
        return None

    def experiment_named(self, name: str) -> Experiment | None:
        with store_errors(self.uri):
            found = self.client.get_experiment_by_name(name)
        return None if found is None else _experiment(found)

    def run(self, run_id: str) -> Run | None:
        with self._reading(f"run {run_id}"), Ignoring("RESOURCE_DOES_NOT_EXIST"):
            return _run(self.client.get_run(run_id))
        return None

    def runs(self, query: RunQuery) -> Iterator[Run]:
        if any(set(value) & _QUOTES for value in query.tags.values()):
            return iter(())  # MLflow's filter cannot write such a text, and no tag of ours has one
        parts = [f"tags.`{key}` = '{value}'" for key, value in query.tags.items()]
        parts += [f"attributes.status = '{query.status}'"] if query.status is not None else []
        parts += [f"attributes.run_id LIKE '{query.id_begins}%'"] if query.id_begins else []
        order = [f"attributes.start_time {'DESC' if query.newest_first else 'ASC'}"]
        ids, text = list(query.experiment_ids), " and ".join(parts)

        def fetch(token: str | None) -> Any:  # noqa: ANN401  (as above)
            with self._reading(query.label):
                return self.client.search_runs(ids, text, 1, _RUNS_PER_PAGE, order, token)

        runs = map(_run, _pages(fetch))
        # MLflow's filter cannot ask for what lacks a tag.
        return sound_runs((run for run in runs if query.without not in run.tags), self.unfit)

    def metric_values(
        self, run_id: str, metric: str | None = None
    ) -> Iterator[tuple[object, object, object]]:
        with self._reading(f"run {run_id}"):
            names = self.client.get_run(run_id).data.metrics if metric is None else [metric]
            for name in names:
                for entry in self.client.get_metric_history(run_id, name):
                    yield name, entry.step, entry.value

    # Writing.

    def create_experiment(self, name: str, location: str | None) -> Experiment:
        with store_errors(self.uri), Ignoring("RESOURCE_ALREADY_EXISTS"):
            self.client.create_experiment(name, location)
        experiment = self.experiment_named(name)
        assert experiment is not None  # noqa: S101  (for mypy: it was made)
        return experiment

    def begin(
        self,
        experiment_id: str,
        name: str,
        tags: Mapping[str, str],
        started_ms: int,
        *,
        may_wait: bool = False,
    ) -> RunChange:
        attempt = uuid.uuid4().hex
        new = Run(attempt, experiment_id, name, "RUNNING", started_ms, None, "")
        change = RunChange(attempt, "", new, {**tags, ATTEMPT: attempt})
        if not may_wait:
            self.asking(lambda: self._create(change))
        return change

    def write(self, changes: Sequence[RunChange]) -> None:
        """Write what is to be written of some runs, one after the other; their ends last.

        The end of a run that a server cannot take is kept on disk, with all that waited for it.
        """
        for change in changes:
            try:
                self.asking(partial(self.record, change))
            except StoreLost:
                if change.status in {None, "RUNNING"}:
                    raise
                keep(self.uri, change)

    def asking(self, call: Callable[[], None]) -> None:
        """Call a server; one that has failed is left alone for a while, and work goes on."""
        if time.monotonic() < self._asks_from_s:
            raise StoreLost(f"{without_passwords(self.uri)}: the server did not answer before")
        try:
            call()
        except StoreError as error:
            if not self.keeps:
                raise
            self._asks_from_s = time.monotonic() + _LEFT_ALONE_S
            raise StoreLost(str(error)) from error

    def record(self, change: RunChange) -> None:
        """Write what is to be written of a run; again, where an earlier try broke off."""
        if change.new is not None:
            self._create(change)
        with store_errors(self.uri):
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

    def _create(self, change: RunChange) -> None:
        """Create the run of a change, unless it is there: an answer may have been lost."""
        new = change.new
        assert new is not None  # noqa: S101  (for mypy)
        for n_left in reversed(range(_TRIES)):
            try:
                run = self._attempted(new, change.tags[ATTEMPT]) if change.was_sent else None
                if run is None:
                    change.was_sent = True
                    with store_errors(self.uri), asked_once():
                        where = (new.experiment_id, int(str(new.started_ms)), change.tags)
                        run = _run(self.client.create_run(*where, run_name=new.name))
            except StoreError:
                if n_left == 0:
                    raise
                time.sleep(_WAITS_S)
            else:
                change.run_id, change.artifact_uri, change.new = run.run_id, run.artifact_uri, None
                # An earlier try had those that were known then.
                change.tags = {k: v for k, v in change.tags.items() if run.tags.get(k) != v}
                return

    def _attempted(self, new: Run, attempt: str) -> Run | None:
        """Return the run that an earlier try has created."""
        return next(iter(self.runs(RunQuery([new.experiment_id], {ATTEMPT: attempt}))), None)

    def record_kept(self) -> int:
        n_recorded, self.left = 0, {}
        with locked(self.uri):
            for file in kept_files(self.uri):
                try:
                    change = read_kept(file)
                except StoreError as error:
                    self.left[file] = f"{error}; left where it is."
                    continue
                label = f"run {change.run_id}"
                if self._is_gone(change):
                    self.left[file] = f"{label}: was deleted from the server; kept in {file}."
                    continue
                try:
                    if not self._is_superseded(change):
                        self.record(change)
                        n_recorded += 1
                except StoreError as error:
                    raise StoreError(f"{error}\n{label} waits in {file}.") from error
                file.unlink()
        return n_recorded

    def _is_superseded(self, change: RunChange) -> bool:
        """Tell whether the server has what is better than a kept run.

        That is the run itself, FINISHED where it was taken for abandoned here; or its job, which
        another command has finished meanwhile.
        """
        new = change.new
        run = self._attempted(new, change.tags[ATTEMPT]) if new else self.run(change.run_id)
        if run is not None and run.status == "FINISHED" != change.status:
            return True
        names = ("runner.sweep", "runner.key")
        if new is None or any(name not in change.tags for name in names):
            return False
        runs = self.runs(RunQuery([new.experiment_id], {name: change.tags[name] for name in names}))
        return any(run.status == "FINISHED" for run in runs)

    def _is_gone(self, change: RunChange) -> bool:
        if change.new is not None:
            experiment = self.experiment(change.new.experiment_id)
            return experiment is None or experiment.is_deleted
        run = self.run(change.run_id)
        return run is None or run.is_deleted

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


def _experiment(experiment: MlflowExperiment) -> Experiment:
    return Experiment(
        str(experiment.experiment_id),
        str(experiment.name),
        str(experiment.artifact_location or ""),
        experiment.lifecycle_stage == "deleted",
    )


def _run(run: MlflowRun) -> Run:
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


def _pages(fetch: Callable[[str | None], Any]) -> Iterator[Any]:
    """Iterate over what is on the pages that MLflow returns, given the token of each."""
    token: str | None = ""
    while token is not None:
        page = fetch(token or None)
        yield from page
        token = page.token or None
