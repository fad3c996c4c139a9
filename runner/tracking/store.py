"""One MLflow store and one experiment in it: where runs are started, closed and found.

Always through `MlflowClient` and explicit ids; the fluent API's active run is never touched, so
that `MLFLOW_RUN_ID` and the like cannot disturb.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.system.paths import outputs_folder
from runner.tracking.backend import client as library
from runner.tracking.backend import sqlite as database
from runner.tracking.backend.address import Address, experiment_link
from runner.tracking.backend.destinations import Destination, destination_of
from runner.tracking.backend.liveness import Presence, dead
from runner.tracking.provenance import process_tags
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
        Where it is.
    client : MlflowClient
        Connected to it.
    experiment_id, experiment : str
        The MLflow experiment that runs go to.
    is_named : bool
        Whether the config names the store, which other commands then have to be told.
    is_believed : bool
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
        is_believed: bool = True,
    ) -> None:
        self.address = address
        self.client = client
        self.experiment_id = experiment_id
        self.experiment = experiment
        self.is_named = is_named
        self.is_believed = is_believed
        self._destination: Destination | None = None
        self._presence: Presence | None = None

    @property
    def sweeps(self) -> Sweeps:
        """The sweeps that are in it."""
        return Sweeps(self.client, self.address.uri)

    @property
    def folder(self) -> Path:
        """The folder for what belongs to the store and not into it: beside its database."""
        file = self.address.database
        return outputs_folder() if file is None else file.parent

    @property
    def is_read_only(self) -> bool:
        """Tell whether nothing can be recorded in it, as on a medium that is only read."""
        return self.address.database is not None and database.is_read_only(self.address.database)

    @property
    def where(self) -> str:
        """Say how a person gets to see the runs: a link, or the command that shows them."""
        if self.address.is_server:
            return experiment_link(self.address.shown, self.experiment_id)
        if self.is_named:
            return f"runner ui --uri {shlex.quote(self.address.shown)}"
        return f"runner ui  ({self.address.shown})"

    def settle(self) -> Destination:
        """Find out where what is recorded goes: best done before there is anything to record.

        Raises
        ------
        RecordError
            If the store names a place where it may not go.
        StoreError
            If the store fails, or cannot be written.
        """
        if self._destination is None:
            if self.address.database is not None:
                database.require_writable(self.address.database)
            with library.in_words(self.address.uri):
                self._destination = destination_of(
                    self.client,
                    self.address,
                    self.client.get_experiment(self.experiment_id),
                    is_believed=self.is_believed,
                )
        return self._destination

    def start_run(
        self,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        parent_run_id: str | None = None,
        start_time_s: float | None = None,
        flush_every_s: float = FLUSH_EVERY_S,
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
        flush_every_s : float
            Seconds between two batches of metrics.

        Raises
        ------
        StoreError
            If the store fails; there is then no run.
        RecordError
            If its artifacts may not go where the store says.
        """
        destination, presence = self.settle(), self._present()
        all_tags = process_tags() | {"runner.process": presence.name} | dict(tags)
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        with library.in_words(self.address.uri):
            run = self.client.create_run(
                self.experiment_id,
                start_time=None if start_time_s is None else int(start_time_s * 1000),
                tags={key: cut(value) for key, value in all_tags.items()},
                run_name=name,
            )
            place = destination.of_run(self.client, run)
        return RecordedRun(
            self.client, run, place, params, self.address.uri, presence, flush_every_s
        )

    def reopen_run(self, run_id: str) -> RecordedRun:
        """Set a run that has ended to RUNNING again, in the hands of this process.

        Raises
        ------
        StoreError
            If the store fails, or has no such run.
        """
        destination, presence = self.settle(), self._present()
        with library.in_words(self.address.uri):
            self.client.set_tag(run_id, "runner.process", presence.name)
            self.client.update_run(run_id, "RUNNING")
            run = self.client.get_run(run_id)
            if FAILURE in run.data.tags:  # of an end that is none any more
                self.client.delete_tag(run_id, FAILURE)
            place = destination.of_run(self.client, run)
        return RecordedRun(self.client, run, place, {}, self.address.uri, presence)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Put tags on a run, whatever its state.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self.address.uri):
            for key, value in tags.items():
                self.client.set_tag(run_id, key, cut(value))

    def _present(self) -> Presence:
        """Return the sign that this process is alive; it has one for each store."""
        if self._presence is None or not self._presence.is_ours:
            with library.in_words(self.address.uri):
                self._presence = Presence(self.address.database)
        return self._presence

    @contextmanager
    def in_a_fork(self) -> Iterator[None]:
        """Use the store in a process that was forked from the one that opened it."""
        try:
            yield
        finally:
            self.leave()

    def leave(self) -> None:
        """Close the connections, and say that this process records nothing more."""
        from runner.tracking.backend.connections import engine_of

        if self._presence is not None:
            self._presence.leave()
        engine = engine_of(self.client)
        if engine is not None:
            engine.dispose()

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
            from runner.tracking.models.logging import log_model

            return log_model(
                *(self.client, self.settle(), self.experiment_id, run.run_id),
                *(prepared, weights, activation),
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
        if self.address.database is None or self.is_read_only:
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
                close_unclosed(self.client, run.info.run_id)
                closed.append(run.info.run_id)
        return closed
