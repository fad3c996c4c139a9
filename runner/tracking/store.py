"""One experiment of an MLflow store, in which runs are started, reopened and closed.

That goes through `MlflowClient` and explicit ids, never through the fluent API's active run, so
that `MLFLOW_RUN_ID` and the like cannot disturb.
"""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.system.environment import environment
from runner.system.errors import RecordError
from runner.system.paths import outputs_folder
from runner.tracking.backend import sqlite
from runner.tracking.backend.address import Address, experiment_link
from runner.tracking.backend.artifacts import ArtifactGuard
from runner.tracking.backend.client import store_errors
from runner.tracking.backend.liveness import Presence, dead
from runner.tracking.backend.rows import experiments_of, matching_runs
from runner.tracking.queries import Sweeps
from runner.tracking.run_writer import FAILURE, FLUSH_EVERY_S, RecordedRun, close_unclosed, cut

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from numpy.typing import NDArray

    from runner.training.prepare import Prepared


class Store:
    """An experiment of an MLflow store; `open_store` makes it.

    Parameters
    ----------
    is_named : bool
        Whether the config names the store, so that other commands need its URI too.
    is_trusted : bool
        Whether the person chose it to record in; else it was opened to look a run up, and may have
        been made by anybody.
    """

    def __init__(
        self,
        address: Address,
        client: MlflowClient,
        experiment_id: str,
        experiment: str,
        *,
        is_named: bool = False,
        is_trusted: bool = True,
    ) -> None:
        self.address = address
        self.client = client
        self.experiment_id = experiment_id
        self.experiment = experiment
        self.is_named = is_named
        self.is_trusted = is_trusted
        self._guard: ArtifactGuard | None = None
        self._presence: Presence | None = None

    @property
    def sweeps(self) -> Sweeps:
        """The sweeps that are in it."""
        return Sweeps(self.client, self.address.uri)

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
        if self.is_named:
            return f"runner ui --uri {shlex.quote(self.address.shown)}"
        return f"runner ui  ({self.address.shown})"

    def settle(self) -> ArtifactGuard:
        """Make sure that results can be recorded, best done before there are any.

        Raises
        ------
        RecordError
            If the store names a location for artifacts that they may not go to.
        """
        if self._guard is None:
            if self.address.database is not None:
                sqlite.require_writable(self.address.database)
            guard = ArtifactGuard(
                self.client, self.address, self.experiment, is_trusted=self.is_trusted
            )
            if not self.is_trusted:
                with store_errors(self.address.uri):
                    experiment = self.client.get_experiment(self.experiment_id)
                guard.allowed(str(experiment.artifact_location))
            self._guard = guard
        return self._guard

    def start_run(
        self,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        parent_run_id: str | None = None,
        start_time_s: float | None = None,
        flush_every_s: float = FLUSH_EVERY_S,
    ) -> RecordedRun:
        """Create a run, which is RUNNING until it is ended.

        Parameters
        ----------
        params : mapping of str to object
            The config, nested or flat; written with the first batch.
        tags : mapping of str to str
            Our own tags; MLflow's, of user, program and commit, are added.
        start_time_s : float or None
            Seconds since 1970, of a run that is recorded after it was trained; None for now.
        flush_every_s : float
            Seconds between two batches of metrics.

        Raises
        ------
        RecordError
            If its artifacts may not go where the store says.
        """
        guard, presence = self.settle(), self._own_presence()
        all_tags = _process_tags() | {"runner.process": presence.name} | dict(tags)
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        with store_errors(self.address.uri):
            run = self.client.create_run(
                self.experiment_id,
                start_time=None if start_time_s is None else int(start_time_s * 1000),
                tags={key: cut(value) for key, value in all_tags.items()},
                run_name=name,
            )
            try:
                artifacts = guard.allowed(str(run.info.artifact_uri))
            except RecordError as error:
                self.client.set_tag(run.info.run_id, FAILURE, cut(str(error)))
                self.client.set_terminated(run.info.run_id, "FAILED")
                raise
        return RecordedRun(
            self.client, run, artifacts, params, self.address.uri, presence, flush_every_s
        )

    def reopen_run(self, run_id: str) -> RecordedRun:
        """Set a run that has ended to RUNNING again, recorded by this process."""
        guard, presence = self.settle(), self._own_presence()
        with store_errors(self.address.uri):
            run = self.client.get_run(run_id)
            artifacts = guard.allowed(str(run.info.artifact_uri))
            self.client.set_tag(run_id, "runner.process", presence.name)
            self.client.update_run(run_id, "RUNNING")
            if run.data.tags.pop(FAILURE, None) is not None:
                self.client.delete_tag(run_id, FAILURE)
        return RecordedRun(self.client, run, artifacts, {}, self.address.uri, presence)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Put tags on a run, whatever its state."""
        with store_errors(self.address.uri):
            for key, value in tags.items():
                self.client.set_tag(run_id, key, cut(value))

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
        engine = sqlite.engine_of(self.client)
        if engine is not None:
            engine.dispose()

    def log_model(
        self,
        run: RecordedRun,
        prepared: Prepared,
        weights: Mapping[str, NDArray[Any]],
        activation: str,
    ) -> str:
        """Give a RUNNING run a model for `mlflow.pyfunc.load_model`, and return the model's URI."""
        with store_errors(self.address.uri):
            from runner.tracking.models.logging import log_model

            guard, run_id = self.settle(), run.run_id
            return log_model(
                self.client, guard, self.experiment_id, run_id, prepared, weights, activation
            )

    def close_abandoned_runs(self) -> list[str]:
        """Mark KILLED what processes left RUNNING when they died, and return the ids of those runs.

        Nothing is closed on a server, where nobody can tell.
        """
        if self.address.database is None or self.is_read_only:
            return []
        closed: list[str] = []
        with store_errors(self.address.uri):
            for process in dead(self.address.database):
                ids = [experiment.experiment_id for experiment in experiments_of(self.client)]
                query = f"attributes.status = 'RUNNING' and tags.`runner.process` = '{process}'"
                for run in list(matching_runs(self.client, self.address.uri, ids, query)):
                    close_unclosed(self.client, run.info.run_id)
                    closed.append(run.info.run_id)
        return closed


def _process_tags() -> dict[str, str]:
    """Return MLflow's own tags for a run of this process: user, program and commit."""
    tags = {
        "mlflow.user": "unknown",
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
        "mlflow.source.type": "LOCAL",
    }
    with suppress(OSError, KeyError):
        tags["mlflow.user"] = getpass.getuser()
    if git := environment()["git"]:
        tags["mlflow.source.git.commit"] = git["commit"]
    return tags
