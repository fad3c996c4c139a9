"""One experiment of an MLflow store: runs are started, reopened and closed here.

Always through `MlflowClient` and explicit ids, never the fluent API's active run, so that
`MLFLOW_RUN_ID` and the like cannot disturb.
"""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Mapping
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
    address : Address
        Of the store.
    client : MlflowClient
        Connected to it.
    experiment_id, experiment : str
        Id and name of the MLflow experiment that runs go to.
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
        """The folder for files that belong to the store and not into it: beside its database."""
        file = self.address.database
        return outputs_folder() if file is None else file.parent

    @property
    def is_read_only(self) -> bool:
        """Tell whether nothing can be recorded in it."""
        return self.address.database is not None and sqlite.is_read_only(self.address.database)

    @property
    def where(self) -> str:
        """How a person gets to see the runs: a link, or the command that shows them."""
        if self.address.is_server:
            return experiment_link(self.address.shown, self.experiment_id)
        if self.is_named:
            return f"runner ui --uri {shlex.quote(self.address.shown)}"
        return f"runner ui  ({self.address.shown})"

    def settle(self) -> None:
        """Make sure that results can be recorded, best done before there are any.

        Raises
        ------
        RecordError
            If the store names a location for artifacts that they may not go to.
        """
        self._artifact_guard()

    def _artifact_guard(self) -> ArtifactGuard:
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
        name : str
            As the UI shows it.
        params : mapping of str to object
            The config, nested or flat; written with the first batch.
        tags : mapping of str to str
            Our own tags; MLflow's, of user, program and commit, are added.
        parent_run_id : str or None
            The run that it is listed under.
        start_time_s : float or None
            Seconds since 1970, of a run that is recorded after it was trained; None for now.
        flush_every_s : float
            Seconds between two batches of metrics.

        Raises
        ------
        RecordError
            If its artifacts may not go where the store says.
        """
        guard, presence = self._artifact_guard(), self._own_presence()
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
        guard, presence = self._artifact_guard(), self._own_presence()
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
        """Return the presence of this process in the store; a fork needs one of its own."""
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
        """Give a run a model that `mlflow.pyfunc.load_model` loads, and return the model's URI.

        Parameters
        ----------
        run : RecordedRun
            Still RUNNING.
        prepared : Prepared
            The data that it was trained on, with its preprocessing.
        weights : mapping of str to ndarray
            As `softnet.Network.weights` gives them.
        activation : str
            Of the hidden layers.
        """
        with store_errors(self.address.uri):
            from runner.tracking.models.logging import log_model

            return log_model(
                *(self.client, self._artifact_guard(), self.experiment_id, run.run_id),
                *(prepared, weights, activation),
            )

    def close_abandoned_runs(self) -> list[str]:
        """Mark KILLED what processes left RUNNING when they died, and return the ids of those runs.

        Nothing is closed on a server, where it cannot be known.
        """
        if self.address.database is None or self.is_read_only:
            return []
        closed: list[str] = []
        with store_errors(self.address.uri):
            for process in dead(self.address.database):
                closed += self._close_runs_of(process)
        return closed

    def _close_runs_of(self, process: str) -> list[str]:
        closed: list[str] = []
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        left_running = f"attributes.status = 'RUNNING' and tags.`runner.process` = '{process}'"
        while runs := self.client.search_runs(experiments, left_running):
            for run in runs:
                close_unclosed(self.client, run.info.run_id)
                closed.append(run.info.run_id)
        return closed


def _process_tags() -> dict[str, str]:
    """Return MLflow's own tags for a run of this process: user, program and commit."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    git = environment()["git"]
    return {
        "mlflow.user": user,
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
        "mlflow.source.type": "LOCAL",
    } | ({"mlflow.source.git.commit": git["commit"]} if git else {})
