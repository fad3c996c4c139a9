"""How a command gets to its store: the address looked up, the database made where it is missing.

Nothing here knows what is recorded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.system.environment import allow_garbage_collection
from runner.system.signals import raise_what_was_swallowed
from runner.tracking.backend import client as library
from runner.tracking.backend import sqlite as database
from runner.tracking.backend.address import Address, check_answers, resolve
from runner.tracking.mlflow_experiments import experiment_id_of
from runner.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class StoreAddress:
    """A store and an experiment in it as plain data, from which a worker opens it.

    Parameters
    ----------
    uri : str
        As MLflow takes it, without a password.
    experiment_id, experiment : str
        The MLflow experiment that runs go to.
    is_named, is_believed : bool
        As in `Store`.
    """

    uri: str
    experiment_id: str
    experiment: str
    is_named: bool
    is_believed: bool


# The store that this process used last; a fork inherits it, with the password in its address.
_last: dict[StoreAddress, Store] = {}


def address_of(store: Store) -> StoreAddress:
    """Return where a store is, and remember it for `store_at` in this process and its forks."""
    address = StoreAddress(
        store.address.shown,
        store.experiment_id,
        store.experiment,
        store.is_named,
        store.is_believed,
    )
    _last.clear()
    _last[address] = store
    return address


def store_at(address: StoreAddress) -> Store:
    """Return the store at an address, opened where this process does not have it yet.

    Raises
    ------
    StoreError
        If the store cannot be used.
    """
    if address not in _last:
        place = resolve(address.uri)
        store = Store(
            place,
            connect(place),
            address.experiment_id,
            address.experiment,
            is_named=address.is_named,
            is_believed=address.is_believed,
        )
        _last.clear()
        _last[address] = store
    return _last[address]


def leave_stores() -> None:
    """Close what this process has open of a store; for forks, at whose end no exit handler runs."""
    for store in _last.values():
        store.leave()
    _last.clear()


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
    RecordError
        If the experiment's artifacts would go where they may not.
    StoreError
        If the store cannot be used.
    """
    address = resolve(uri)
    client = connect(address)
    wanted = _wanted(experiment, name)
    with library.in_words(address.uri):
        experiment_id = experiment_id_of(client, wanted, address)
    store = Store(address, client, experiment_id, wanted, is_named=uri is not None)
    store.close_abandoned_runs()
    store.settle()
    return store


def find_store(uri: str | None, experiment: str | None, name: str) -> Store | None:
    """Connect to the store that is meant, as `open_store` does, but make nothing.

    Returns
    -------
    Store or None
        None where there is no database, or no such experiment in it.
    """
    address = resolve(uri)
    if address.database is not None and not address.database.exists():
        return None
    client = connect(address, may_only_read=True)
    wanted = _wanted(experiment, name)
    with library.in_words(address.uri):
        found = client.get_experiment_by_name(wanted)
    if found is None or found.lifecycle_stage == "deleted":
        return None
    return Store(address, client, found.experiment_id, wanted, is_named=uri is not None)


def find_stores(uri: str | None) -> dict[str, Store]:
    """Connect to every experiment of the store that is meant, and make nothing.

    Returns
    -------
    dict of str to Store
        By the experiment's id; empty where there is no database.
    """
    address = resolve(uri)
    if address.database is not None and not address.database.exists():
        return {}
    client = connect(address, may_only_read=True)
    with library.in_words(address.uri):
        found = list(client.search_experiments())
    return {
        e.experiment_id: Store(address, client, e.experiment_id, e.name, is_named=uri is not None)
        for e in found
    }


def _wanted(experiment: str | None, name: str) -> str:
    return experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or name


def connect(address: Address, *, may_only_read: bool = False) -> MlflowClient:
    """Return a client of a store, whose database is made where it is missing.

    Parameters
    ----------
    address : Address
        Where it is.
    may_only_read : bool
        Whether a database that cannot be written will do.

    Raises
    ------
    ConfigError
        If no server answers there.
    StoreError
        If the store cannot be used.
    """
    if address.is_server:
        check_answers(address)
    uri = address.uri
    if address.database is not None and address.artifacts is not None:
        if may_only_read and database.is_read_only(address.database):
            uri = database.reading_uri(address.database)
        else:
            database.ensure(address.database, address.artifacts)
    library.prepare()
    from mlflow import MlflowClient

    from runner.tracking.backend.connections import engine_of, tune

    with library.in_words(address.uri):
        client = MlflowClient(uri)
        engine = engine_of(client)
        if engine is not None and address.database is not None:
            tune(engine)
    # Here all that a command loads to get to its results is loaded.
    allow_garbage_collection()
    raise_what_was_swallowed()
    return client
