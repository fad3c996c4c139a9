"""Opens the store that a command means, and makes its database and experiment where missing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.system.environment import allow_garbage_collection
from runner.system.errors import StoreError
from runner.system.signals import raise_what_was_swallowed
from runner.tracking.backend import sqlite
from runner.tracking.backend.address import Address, check_answers, resolve
from runner.tracking.backend.client import prepare, store_errors
from runner.tracking.backend.rows import experiments_of
from runner.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class StoreAddress:
    """A store, without its password, and an experiment in it, as plain data for a worker."""

    uri: str
    experiment_id: str
    experiment: str
    is_named: bool
    is_trusted: bool


# The store that this process used last; a fork inherits it, with the password in its address.
_last: dict[StoreAddress, Store] = {}


def address_of(store: Store) -> StoreAddress:
    """Return the address of a store, which this process and its forks keep for `store_at`."""
    shown, experiment_id = store.address.shown, store.experiment_id
    address = StoreAddress(shown, experiment_id, store.experiment, store.is_named, store.is_trusted)
    _last.clear()
    _last[address] = store
    return address


def store_at(address: StoreAddress) -> Store:
    """Return the store at an address, opened unless this process has it already."""
    if address not in _last:
        resolved, experiment_id = resolve(address.uri), address.experiment_id
        flags = {"is_named": address.is_named, "is_trusted": address.is_trusted}
        address_of(Store(resolved, connect(resolved), experiment_id, address.experiment, **flags))
    return _last[address]


def leave_stores() -> None:
    """Close the stores of this process; for forks, at whose end no exit handler runs."""
    for store in _last.values():
        store.leave()
    _last.clear()


def open_store(uri: str | None, experiment: str | None, name: str) -> Store:
    """Connect to a store; make it, and the experiment, where they are missing.

    `uri` and `experiment` are the settings of ``tracking``. Without them the environment is asked:
    ``MLFLOW_TRACKING_URI``, else the embedded database; ``MLFLOW_EXPERIMENT_NAME``, else `name`.

    Raises
    ------
    ConfigError
        If the URI is of no use, or no server answers there.
    """
    address = resolve(uri)
    client = connect(address)
    chosen = _choose(experiment, name)
    with store_errors(address.uri):
        experiment_id = experiment_id_of(client, chosen, address)
    store = Store(address, client, experiment_id, chosen, is_named=uri is not None)
    store.close_abandoned_runs()
    store.settle()
    return store


def find_store(uri: str | None, experiment: str | None, name: str) -> Store | None:
    """Connect to a store as `open_store` does, or return None where it is missing."""
    return next(iter(find_stores(uri, _choose(experiment, name)).values()), None)


def find_stores(uri: str | None, experiment: str | None = None) -> dict[str, Store]:
    """Connect to one or all experiments of a store, and make nothing; return them by their ids."""
    address = resolve(uri)
    if address.database is not None and not address.database.exists():
        return {}
    client = connect(address, may_only_read=True)
    with store_errors(address.uri):
        experiments = (
            [client.get_experiment_by_name(experiment)]
            if experiment is not None
            else experiments_of(client)
        )
    return {
        e.experiment_id: Store(address, client, e.experiment_id, e.name, is_named=uri is not None)
        for e in experiments
        if e is not None and e.lifecycle_stage != "deleted"
    }


def _choose(experiment: str | None, name: str) -> str:
    return experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or name


def connect(address: Address, *, may_only_read: bool = False) -> MlflowClient:
    """Return a client of a store, whose database is made where it is missing.

    A read-only database is refused unless the caller `may_only_read`.
    """
    if address.is_server:
        check_answers(address)
    uri, database = address.uri, address.database
    if database is not None and may_only_read and sqlite.is_read_only(database):
        uri = sqlite.reading_uri(database)
    elif database is not None and address.artifacts is not None:
        sqlite.ensure(database, address.artifacts)
    prepare()
    from mlflow import MlflowClient

    with store_errors(address.uri):
        client = MlflowClient(uri)
        engine = sqlite.engine_of(client)
        if engine is not None:
            sqlite.tune(engine)
    # All that a command imports before it has results is imported now.
    allow_garbage_collection()
    raise_what_was_swallowed()
    return client


def experiment_id_of(client: MlflowClient, name: str, address: Address) -> str:
    """Return the id of an experiment; make it where it is missing, even if others do so too."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # MLflow itself would choose a folder below the one that the command is started in.
        artifacts = None
        if address.artifacts is not None:
            folder = re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "experiment"
            artifacts = (address.artifacts / folder).as_uri()
        try:
            return client.create_experiment(name, artifacts)
        except MlflowException as error:
            experiment = client.get_experiment_by_name(name)
            # Else another process was faster.
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        raise StoreError(
            f"{address.shown}: the experiment {name!r} was deleted. Bring it back with"
            f"\n  mlflow experiments restore --experiment-id {experiment.experiment_id}"
            "\nor set tracking.experiment to another name."
        )
    return str(experiment.experiment_id)
