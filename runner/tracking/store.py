"""One MLflow store and one experiment in it: where runs are started, closed and found.

Always through `MlflowClient` and explicit ids; the fluent API's active run is never touched, so
that `MLFLOW_RUN_ID` and the like cannot disturb.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.environment import environment
from runner.errors import StoreError
from runner.tracking import database, library
from runner.tracking.address import Address, check_answers, experiment_link, resolve
from runner.tracking.processes import Presence, dead
from runner.tracking.runs import RecordedRun, cut

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from numpy.typing import NDArray

    from runner.execute import Prepared


class Store:
    """An experiment of an MLflow store; `open_store` makes it.

    Parameters
    ----------
    address : Address
        Where it is.
    client : MlflowClient
        Connected to it.
    experiment_id, experiment : str
        The MLflow experiment that runs go to.
    is_named : bool
        Whether the config names the store, which other commands then have to be told.
    """

    def __init__(
        self,
        address: Address,
        client: MlflowClient,
        experiment_id: str,
        experiment: str,
        *,
        is_named: bool = False,
    ) -> None:
        self.address = address
        self.client = client
        self.experiment_id = experiment_id
        self.experiment = experiment
        self._is_named = is_named
        self._presence: Presence | None = None

    @property
    def where(self) -> str:
        """Say how a person gets to see the runs: a link, or the command that shows them."""
        if self.address.is_server:
            return experiment_link(self.address.uri, self.experiment_id)
        if self._is_named:
            return f"runner ui --uri {shlex.quote(self.address.uri)}"
        return f"runner ui  ({library.masked(self.address.uri)})"

    def start_run(
        self,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        parent_run_id: str | None = None,
        start_time_s: float | None = None,
    ) -> RecordedRun:
        """Create a run, RUNNING until it is told otherwise.

        Parameters
        ----------
        name : str
            What the UI shows.
        params : mapping of str to object
            The config, nested or flat; written with the first batch.
        tags : mapping of str to str
            Tags of ours; who ran it, from what program and commit, is added.
        parent_run_id : str or None
            The run that it is listed under.
        start_time_s : float or None
            Seconds since 1970, of a run that is recorded after it was trained; None for now.

        Raises
        ------
        StoreError
            If the store fails; there is then no run.
        """
        if self._presence is None or not self._presence.is_ours:
            with library.in_words(self.address.uri):
                self._presence = Presence(self.address.database)
        all_tags = _process_tags() | {"runner.process": self._presence.name} | dict(tags)
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        with library.in_words(self.address.uri):
            run = self.client.create_run(
                self.experiment_id,
                start_time=None if start_time_s is None else int(start_time_s * 1000),
                tags={key: cut(value) for key, value in all_tags.items()},
                run_name=name,
            )
        return RecordedRun(self.client, run, params, self.address.uri, self._presence)

    def log_model(
        self,
        run: RecordedRun,
        prepared: Prepared,
        weights: Mapping[str, NDArray[Any]],
        activation: str,
    ) -> str:
        """Give a run a model that `mlflow.pyfunc.load_model` loads: raw rows to probabilities.

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

        Returns
        -------
        str
            The model's URI, ``models:/...``.

        Raises
        ------
        StoreError
            If the store or the disk fails.
        """
        with library.in_words(self.address.uri):
            from runner.tracking.models import log_model

            return log_model(
                self.client, self.experiment_id, run.run_id, prepared, weights, activation
            )

    def close_abandoned_runs(self) -> list[str]:
        """Mark KILLED what processes of this machine left RUNNING when they died.

        Returns
        -------
        list of str
            Ids of the runs that were closed. Always empty for a server, where it cannot be known.

        Raises
        ------
        StoreError
            If the store fails.
        """
        if self.address.database is None:
            return []
        closed: list[str] = []
        with library.in_words(self.address.uri):
            for process in dead(self.address.database):
                closed += self._close_runs_of(process)
        return closed

    def _close_runs_of(self, process: str) -> list[str]:
        closed: list[str] = []
        experiments = [found.experiment_id for found in self.client.search_experiments()]
        left_running = f"attributes.status = 'RUNNING' and tags.`runner.process` = '{process}'"
        while runs := self.client.search_runs(experiments, left_running):
            for run in runs:
                reason = "the process ended without closing the run"
                self.client.set_tag(run.info.run_id, "runner.failure", reason)
                self.client.set_terminated(run.info.run_id, "KILLED")
                closed.append(run.info.run_id)
        return closed


def open_store(uri: str | None, experiment: str | None, name: str) -> Store:
    """Connect to the store that is meant; make it, and the experiment, where they are missing.

    Parameters
    ----------
    uri : str or None
        ``tracking.uri``; None takes ``MLFLOW_TRACKING_URI``, else the embedded SQLite database.
    experiment : str or None
        ``tracking.experiment``; None takes ``MLFLOW_EXPERIMENT_NAME``, else `name`.
    name : str
        The experiment's own name.

    Raises
    ------
    ConfigError
        If the URI is of no use, or no server answers there.
    StoreError
        If the store cannot be used.
    """
    address = resolve(uri)
    if address.is_server:
        check_answers(address)
    if address.database is not None and address.artifacts is not None:
        database.ensure(address.database, address.artifacts)
    library.prepare()
    from mlflow import MlflowClient

    wanted = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    with library.in_words(address.uri):
        client = MlflowClient(address.uri)
        experiment_id = _experiment_id(client, wanted, address)
        store = Store(address, client, experiment_id, wanted, is_named=uri is not None)
    store.close_abandoned_runs()
    return store


def _experiment_id(client: MlflowClient, name: str, address: Address) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # MLflow's own choice would be a folder below the one it happens to be started in.
        artifacts = None
        if address.artifacts is not None:
            artifacts = (address.artifacts / _file_name(name)).as_uri()
        try:
            return client.create_experiment(name, artifacts)
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            # Else another process was faster.
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise StoreError(
            f"{address.uri}: the experiment {name!r} was deleted. Bring it back with"
            f"\n  mlflow experiments restore --experiment-id {found.experiment_id}"
            "\nor set tracking.experiment to another name."
        )
    return str(found.experiment_id)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "experiment"


def _process_tags() -> dict[str, str]:
    """Fill the columns that MLflow's UI has for any run."""
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
