"""One experiment of an MLflow store, in which runs are started, reopened and closed.

That goes through explicit ids, never through the fluent API's active run, so that `MLFLOW_RUN_ID`
and the like cannot disturb.
"""

from __future__ import annotations

import getpass
import re
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.system.errors import ConfigError, RecordError, StoreError, StoreLost
from runner.system.files import write_text
from runner.system.paths import outputs_folder
from runner.tracking.backend import sqlite
from runner.tracking.backend.address import Address, experiment_link
from runner.tracking.backend.artifacts import (
    ArtifactGuard,
    local_folder,
    remove_artifacts,
    send_folder,
)
from runner.tracking.backend.client import store_errors, variable
from runner.tracking.backend.embedded import EmbeddedStore
from runner.tracking.backend.lease import Lease, Turn, Watch
from runner.tracking.backend.liveness import Presence, dead, note_of
from runner.tracking.backend.rows import Backend, ModelFacts, Run, RunChange, RunQuery, texts_of
from runner.tracking.backend.unrecorded import kept_files
from runner.tracking.queries import Sweeps, left_by_the_dead
from runner.tracking.run_writer import (
    FAILURE,
    FLUSH_EVERY_S,
    RunWriter,
    close_unclosed,
    cut,
    params_of,
)
from runner.training.environment import environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runner.tracking.models.helper import ModelHelper
    from runner.training.prepare import Trained


@dataclass(frozen=True)
class StoreAddress:
    """A store, without its password, and an experiment in it, as plain data for a worker."""

    uri: str
    experiment_id: str
    experiment: str
    is_named: bool  # whether the config names the store, so that other commands need its URI too
    # Whether the person chose it to record in; else it was opened to look a run up, and may have
    # been made by anybody.
    is_trusted: bool = True
    is_durable: bool = True  # whether a run that has ended outlives a power cut
    artifacts: str | None = None  # the place of its files, where the config says it


class Store:
    """An experiment of an MLflow store; `open_store` makes it."""

    def __init__(self, place: StoreAddress, address: Address, backend: Backend) -> None:
        self.place, self.address, self.backend = place, address, backend
        self.experiment_id, self.experiment = place.experiment_id, place.experiment
        self._guard: ArtifactGuard | None = None
        self._presence: Presence | None = None
        self._helper: ModelHelper | None = None
        self._watch: Watch | None = None

    @property
    def client(self) -> MlflowClient:
        """MLflow's client of the store."""
        return self.backend.client

    @property
    def sweeps(self) -> Sweeps:
        """The sweeps that are in it."""
        return Sweeps(self.backend)

    @property
    def folder(self) -> Path:
        """The folder for files kept beside the store: that of its database, else of outputs."""
        file = self.address.database
        return outputs_folder() if file is None else file.parent

    @property
    def is_read_only(self) -> bool:
        """Tell whether nothing can be recorded in it."""
        return self.address.database is not None and sqlite.is_read_only(self.address.database)

    @property
    def where(self) -> str:
        """The link to the runs, or the command that shows them."""
        if self.address.is_server:
            return experiment_link(self.address.shown, self.experiment_id)
        if self.place.is_named:
            return f"runner ui --uri {shlex.quote(self.address.shown)}"
        return f"runner ui  ({self.address.shown})"

    def settle(self) -> ArtifactGuard:
        """Make sure that results can be recorded, best done before there are any.

        A `RecordError` says that artifacts may not go where the store wants them.
        """
        if self._guard is None:
            if self.address.database is not None:
                sqlite.require_writable(self.address.database)
            is_trusted = self.place.is_trusted
            guard = ArtifactGuard(
                self.backend, self.address, self.experiment, is_trusted=is_trusted
            )
            if not is_trusted:
                experiment = self.backend.experiment(self.experiment_id)
                guard.allowed("" if experiment is None else experiment.artifact_location)
            self._guard = guard
        return self._guard

    @contextmanager
    def kept(self, name: str, on_wait: Callable[[str], None]) -> Iterator[Lease | None]:
        """Keep a name to this process, among those of all machines that reach the store.

        None where that takes no more than locks of this machine: an embedded database is of one,
        and Databricks has no names of that form.
        """
        if not self.is_shared:
            yield None
            return
        lease = Lease(self.address, name, self.backend.asking)
        with lease.held(on_wait):
            yield lease

    def is_lost(self, turn: Turn) -> bool:
        """Tell whether another process has a name by now that one had `kept` to itself."""
        if self._watch is None or self._watch.turn != turn:
            self._watch = Watch(self.address, turn, self.backend.asking)
        return self._watch.is_lost()

    @property
    def is_shared(self) -> bool:
        """Tell whether commands on several machines may record here; `kept` is for them."""
        return self.address.is_server or self.address.is_database_server

    def require_shared_artifacts(self) -> None:
        """Raise `ConfigError` where files of runs go to a folder that other machines lack."""
        experiment = self.backend.experiment(self.experiment_id)
        location = "" if experiment is None else experiment.artifact_location
        if self.address.place is None and urlsplit(location).scheme in {"", "file"}:
            raise ConfigError.plain(
                f"{self.address.origin}: must be a server that takes artifacts itself (mlflow "
                f"server --artifacts-destination ...) where executor is dask; the experiment "
                f"{self.experiment!r} keeps them in the folder {location}."
            )

    def shared_mark(self) -> Path | None:
        """Return a file in the folder of all artifacts, by which other machines know it.

        None where it is no folder.
        """
        place = local_folder(self.address.place or "")
        if place is None:
            return None
        mark = place / ".runner"
        if not mark.exists():
            write_text(mark, uuid.uuid4().hex)
        return mark

    def start_run(
        self,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        parent_run_id: str | None = None,
        start_time_s: float | None = None,
        flush_every_s: float = FLUSH_EVERY_S,
        *,
        is_shown: bool = True,
    ) -> RunWriter:
        """Begin a run, which is RUNNING until it is ended.

        The params are the config, nested or flat; MLflow's own tags, of user, program and commit,
        are added. One that is recorded after it was trained has its `start_time_s`, in seconds
        since 1970. Metrics are written every `flush_every_s` seconds. If it `is_shown` a database
        has it at once, and not only when it is first written. Raises `RecordError` if its artifacts
        may not go where the store says.
        """
        guard, presence = self.settle(), self._own_presence()
        all_tags = _process_tags() | {"runner.process": presence.name} | dict(tags)
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        started_s = time.time() if start_time_s is None else start_time_s
        all_tags = {key: cut(value) for key, value in all_tags.items()}
        started_ms = int(started_s * 1000)
        may_wait = self.place.is_trusted and not is_shown
        change = self.backend.begin(
            self.experiment_id, name, all_tags, started_ms, may_wait=may_wait
        )
        try:
            guard.allowed(change.artifact_uri)
        except RecordError as error:
            if change.new is None:
                tags = {FAILURE: cut(str(error))}
                self.backend.write([RunChange(change.run_id, tags=tags, status="FAILED")])
            raise
        change.params |= params_of(params)
        run = RunWriter(self.backend, change, presence, all_tags, flush_every_s)
        if is_shown and change.new is not None:
            run.flush()
        return run

    def reopen_run(self, run_id: str) -> RunWriter:
        """Set a run that has ended to RUNNING again, recorded by this process."""
        guard, presence = self.settle(), self._own_presence()
        run = self.backend.run(run_id)
        if run is None:
            raise StoreError(f"{self.address.shown}: has no run {run_id} any more")
        uri, tags = guard.allowed(run.artifact_uri), {"runner.process": presence.name}
        removed = FAILURE if FAILURE in run.tags else None
        self.backend.write(
            [RunChange(run_id, uri, tags=tags, removed_tag=removed, status="RUNNING")]
        )
        written = {key: value for key, value in texts_of(run.tags).items() if key != FAILURE}
        return RunWriter(self.backend, RunChange(run_id, uri), presence, written | tags)

    @property
    def n_unrecorded(self) -> int:
        """How many runs are kept on disk, since the server could not take them."""
        if not self.backend.keeps:
            return 0
        return len(set(kept_files(self.address.uri)) - self.backend.left.keys())

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Put tags on a run, whatever its state."""
        texts = {key: cut(value) for key, value in tags.items()}
        self.backend.write([RunChange(run_id, tags=texts)])

    def list_under(self, parents: Mapping[str, str]) -> None:
        """List runs under others, by their ids; those that somebody has deleted are passed over."""
        changes = [RunChange(r, tags={"mlflow.parentRunId": p}) for r, p in parents.items()]
        try:
            self.backend.write(changes)
        except StoreLost:
            raise
        except StoreError:
            for run_id, parent in parents.items() if len(parents) > 1 else ():
                self.list_under({run_id: parent})

    def send_folder(self, run: Run, folder: Path, under: str) -> None:
        """Copy the files of a folder to one `under` the artifacts of a run."""
        uri = self.settle().allowed(run.artifact_uri)
        with store_errors(self.address.uri):
            send_folder(self.backend, folder, uri, under)

    def remove_files(self, run: Run, files: Sequence[str]) -> None:
        """Remove files from the artifacts of a run."""
        uri = self.settle().allowed(run.artifact_uri)
        with store_errors(self.address.uri):
            remove_artifacts(self.backend, uri, files)

    def _own_presence(self) -> Presence:
        """Return the presence of this process; a fork needs one of its own."""
        if self._presence is None or not self._presence.is_ours:
            with store_errors(self.address.uri):
                self._presence = Presence(self.address.database)
        return self._presence

    def leave(self) -> None:
        """Close the connections, and end the presence of this process."""
        if self._presence is not None:
            self._presence.leave()
        self.forget_model()
        self.backend.close()

    def prepare_model(self) -> None:
        """Have another process load MLflow, if this one has not, for a model at the end."""
        if self.address.database is not None and "mlflow" not in sys.modules:
            from runner.tracking.models.helper import ModelHelper

            with suppress(OSError):
                self._helper = ModelHelper(
                    self.address, self.experiment, is_trusted=self.place.is_trusted
                )

    def forget_model(self) -> None:
        """End the process that `prepare_model` has started, if no model was asked of it."""
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()

    def log_model(
        self,
        run: RunWriter,
        *members: Trained,
        facts: ModelFacts = ModelFacts(),  # noqa: B008  (it cannot change)
    ) -> None:
        """Give a RUNNING run that is shown a model for `mlflow.pyfunc.load_model`.

        It averages what its members predict. The store has the metrics of its `facts` already. A
        server that does not answer leaves a run without one: its weights are kept.
        """
        helper, self._helper = self._helper, None
        model = (self.experiment_id, run.run_id, members, facts)
        if helper is not None and helper.log_model(*model):
            return
        forgiven = [StoreError] if self.backend.keeps else []
        with suppress(*forgiven), store_errors(self.address.uri):
            from runner.tracking.models.logging import log_model

            log_model(self.backend, self.settle(), *model)

    def register(self, run_id: str, name: str) -> str | None:
        """Make the model of a run the champion of a registered model; return its version.

        None where the run has no model.
        """
        from runner.tracking.models.registry import register

        # The registry asks the store for the model in its own way.
        with store_errors(self.address.uri), variable("MLFLOW_TRACKING_URI", self.address.uri):
            return register(self.client, run_id, name)

    def close_abandoned_runs(self) -> None:
        """Mark KILLED what processes left RUNNING when they died.

        On a server that can be told of this machine alone; a sweep's turn closes what others left.
        """
        if self.address.is_server:
            running = self.backend.runs(RunQuery([self.experiment_id], {}, status="RUNNING"))
            close_unclosed(self.backend, [run.run_id for run in left_by_the_dead(running)])
        if self.address.database is None or self.is_read_only:
            return
        with store_errors(self.address.uri):
            for process in dead(self.address.database):
                ids = [experiment.experiment_id for experiment in self.backend.experiments()]
                tags = {"runner.process": process}
                runs = self.backend.runs(RunQuery(ids, tags, status="RUNNING"))
                close_unclosed(self.backend, [run.run_id for run in runs])
                self._remove_unrecorded(note_of(self.address.database, process))

    def _remove_unrecorded(self, note: str) -> None:
        """Remove files that a dead process wrote of runs which it could not record any more."""
        if self.place.is_trusted and isinstance(self.backend, EmbeddedStore):
            for line in note.splitlines():
                if named := re.fullmatch(r"([0-9]{1,18}) ([0-9a-f]{32})", line):
                    self.backend.remove_unrecorded(*named.groups())


_user = cache(getpass.getuser)  # which takes as long as all other tags of a run


def _process_tags() -> dict[str, str]:
    """Return MLflow's own tags for a run of this process: user, program and commit."""
    tags = {
        "mlflow.user": "unknown",
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
        "mlflow.source.type": "LOCAL",
    }
    with suppress(OSError, KeyError):
        tags["mlflow.user"] = _user()
    if git := environment()["git"]:
        tags["mlflow.source.git.commit"] = git["commit"]
    return tags
