"""Opens the store that a command means, and makes its database and experiment where missing."""

from __future__ import annotations

import os
import re

from runner.system.errors import ConfigError, StoreError, Unrecorded
from runner.system.formatting import count
from runner.system.signals import raise_pending_sigterm
from runner.tracking.backend import sqlite
from runner.tracking.backend.address import Address, check_answers, resolve, why_refused
from runner.tracking.backend.client import store_errors
from runner.tracking.backend.embedded import KNOWN_REVISIONS, EmbeddedStore
from runner.tracking.backend.rows import Backend, Experiment
from runner.tracking.backend.unrecorded import folder_of, kept_files
from runner.tracking.store import Store, StoreAddress

# The two stores that this process used last; a fork inherits it, with the password in its address.
_last: dict[StoreAddress, Store] = {}


def address_of(store: Store) -> StoreAddress:
    """Return the address of a store, which this process and its forks keep for `store_at`."""
    for place in [*_last][:-1]:  # a rerun may have one that it reads and one that it writes
        del _last[place]
    _last[store.place] = store
    return store.place


def store_at(address: StoreAddress) -> Store:
    """Return the store at an address, opened unless this process has it already.

    Whoever gave the address had it open, so that it cannot be opened here is a `StoreError`.
    """
    if address not in _last:
        resolved = resolve(address.uri, address.artifacts)
        try:
            backend = connect(resolved, is_durable=address.is_durable)
        except ConfigError as error:
            raise StoreError(str(error)) from error
        address_of(Store(address, resolved, backend))
    return _last[address]


def require_shared(uri: str | None) -> None:
    """Raise `ConfigError` where a store, ``tracking.uri``, is a file that other machines lack."""
    address = resolve(uri)
    if address.database is not None:
        raise ConfigError.plain(
            f"{address.origin}: must be a store that every worker reaches where executor is dask, "
            f"such as tracking=server, got {address.shown!r}, a file of this machine."
        )


def leave_stores() -> None:
    """Close the stores of this process; for forks, at whose end no exit handler runs."""
    for store in _last.values():
        store.leave()
    _last.clear()


def open_store(
    uri: str | None,
    experiment: str | None,
    name: str,
    *,
    artifacts: str | None = None,
    is_durable: bool = True,
) -> Store:
    """Connect to a store; make it, and the experiment, where they are missing.

    `uri`, `experiment` and `artifacts` are the settings of ``tracking``. Without them the
    environment is asked: ``MLFLOW_TRACKING_URI``, else the embedded database;
    ``MLFLOW_EXPERIMENT_NAME``, else `name`. `is_durable` is that of `EmbeddedStore`. Raises
    `ConfigError` if the URI is of no use, or no server answers there.
    """
    address = resolve(uri, artifacts)
    if address.is_database_server and address.place is None:
        raise ConfigError(
            "tracking.artifacts",
            f"a place that all machines reach where {address.origin} is a database, which keeps no "
            "files",
            None,
            "Or record through a server before it: mlflow server --backend-store-uri ... "
            "--artifacts-destination ...",
        )
    backend = connect(address, is_durable=is_durable)
    found = _experiment_named(backend, _choose(experiment, name), address)
    place = StoreAddress(
        *(address.shown, found.experiment_id, found.name, uri is not None),
        artifacts=address.place,
        is_durable=is_durable,
    )
    store = Store(place, address, backend)
    store.close_abandoned_runs()
    store.settle()
    return store


def record_kept(uri: str | None) -> str:
    """Record what waits on disk for a server, and say what that was.

    Raises `ConfigError` if the server does not answer. Raises `Unrecorded` if some of it cannot be
    recorded.
    """
    address = resolve(uri)
    if not address.is_server or not kept_files(address.uri):
        return f"Nothing waits to be recorded at {address.shown}."
    backend = connect(address)
    if backend.left:
        raise Unrecorded(str(backend.remark))
    return str(backend.remark)


def unrecorded_notice(store: Store) -> str:
    """Say how many runs wait on disk since the server could not take them, and where."""
    place = folder_of(store.address.uri)
    return (
        f"{count(store.n_unrecorded, 'run')} could not be recorded at {store.address.shown}; "
        f"kept in {place}.\nThe next command that reaches it records them, and so does runner sync."
    )


def find_store(uri: str | None, experiment: str | None, name: str) -> Store | None:
    """Connect to a store as `open_store` does, or return None where it is missing."""
    return next(iter(find_stores(uri, _choose(experiment, name)).values()), None)


def find_stores(uri: str | None, experiment: str | None = None) -> dict[str, Store]:
    """Connect to one or all experiments of a store, and make nothing; return them by their ids."""
    address = resolve(uri)
    if address.database is not None and not address.database.exists():
        return {}
    backend = connect(address, may_only_read=True)
    experiments = (
        [backend.experiment_named(experiment)] if experiment is not None else backend.experiments()
    )
    if experiment is not None and experiments[0] is not None:
        _require_present(experiments[0], address)
    return {
        e.experiment_id: Store(
            StoreAddress(address.shown, e.experiment_id, e.name, uri is not None), address, backend
        )
        for e in experiments
        if e is not None
    }


def _choose(experiment: str | None, name: str) -> str:
    return experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or name


def connect(address: Address, *, may_only_read: bool = False, is_durable: bool = True) -> Backend:
    """Return the backend of a store, whose database is made where it is missing.

    A read-only database is refused unless the caller `may_only_read`.
    """
    if address.is_server or address.is_database_server:
        check_answers(address)
    backend = _backend(address, may_only_read=may_only_read, is_durable=is_durable)
    if backend.keeps:
        _require_mlflow(address, backend)
    if backend.keeps and kept_files(address.uri):
        n_recorded = _record_kept(address, backend, may_only_read=may_only_read)
        verb = "is" if n_recorded == 1 else "are"
        lines = [f"{count(n_recorded, 'run')} that waited on disk {verb} recorded now."]
        backend.remark = "\n".join(
            [*(lines if n_recorded or not backend.left else []), *backend.left.values()]
        )
    raise_pending_sigterm()  # libraries have been imported
    return backend


def _require_mlflow(address: Address, backend: Backend) -> None:
    """Raise `ConfigError` where what answers is no MLflow server, or lets nobody in."""
    try:
        with store_errors(address.uri):
            backend.client.search_experiments(max_results=1)
    except StoreError as error:
        raise ConfigError.plain(
            f"{address.origin}: no MLflow server answers at {address.shown}: "
            f"{why_refused(address.uri, error)}."
        ) from error


def _record_kept(address: Address, backend: Backend, *, may_only_read: bool) -> int:
    """Record what is kept for a server; a `ConfigError` says that it does not take it.

    One that a caller only reads may be read nevertheless.
    """
    try:
        return backend.record_kept()
    except StoreError as error:
        if may_only_read:
            return 0
        raise ConfigError.plain(f"{address.origin}: {error}") from error


def _backend(address: Address, *, may_only_read: bool, is_durable: bool) -> Backend:
    uri, database = address.uri, address.database
    if database is None or address.artifacts is None:
        return _client_store(uri)
    is_read_only = may_only_read and sqlite.is_read_only(database)
    if is_read_only:
        revision = sqlite.check_readable(database)
    else:
        revision = sqlite.ensure(database, address.artifacts)
    if revision in KNOWN_REVISIONS:
        return EmbeddedStore(database, uri, is_read_only=is_read_only, is_durable=is_durable)
    return _client_store(
        uri,
        f"Recording is slower with this MLflow, whose database has a schema ({revision}) that this "
        "version does not know: MLflow's client does it.",
    )


def _client_store(uri: str, remark: str | None = None) -> Backend:
    from runner.tracking.backend.client_store import ClientStore

    return ClientStore(uri, remark)


def _experiment_named(backend: Backend, name: str, address: Address) -> Experiment:
    """Return an experiment; make it where it is missing, even if others do so too."""
    experiment = backend.experiment_named(name)
    if experiment is None:
        # MLflow itself would choose a folder below the one that the command is started in.
        place = address.place if address.artifacts is None else address.artifacts.as_uri()
        folder = re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "experiment"
        experiment = backend.create_experiment(name, place and f"{place}/{folder}")
    _require_present(experiment, address)
    location = experiment.artifact_location
    if address.place is not None and not f"{location}/".startswith(f"{address.place}/"):
        raise ConfigError(
            "tracking.artifacts",
            f"the place of the experiment {name!r} where there is one ({location})",
            address.place,
        )
    return experiment


def _require_present(experiment: Experiment, address: Address) -> None:
    """Raise `StoreError` where an experiment was deleted: its name is taken until `mlflow gc`."""
    if experiment.is_deleted:
        raise StoreError(
            f"{address.shown}: the experiment {experiment.name!r} was deleted. Bring it back with"
            f"\n  mlflow experiments restore --experiment-id {experiment.experiment_id}"
            "\nor set tracking.experiment to another name."
        )
