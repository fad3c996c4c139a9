"""What a run notes, written to the store in one batch: by MLflow's client, or in the same rows.

MLflow makes an object of its own of each metric and asks the database about each kind of them,
which is half of what recording a run costs. Where a run of a database has nothing yet, the rows
that MLflow would write go into MLflow's tables at once, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner.tracking.backend.rows import store_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Key, value, milliseconds since 1970, step.
Noted = tuple[str, float, int, int]

# Whose `log_batch` writes what `_write_rows` does; with any other it is asked to do it itself.
_KNOWN_MLFLOW = "3.17."


def write_batch(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[Noted],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    is_first: bool,
) -> None:
    """Write metrics, params and tags of a run.

    Parameters
    ----------
    client : MlflowClient
        Of the run's store.
    run_id : str
        The run.
    metrics : sequence of (str, float, int, int)
        In the order in which they were measured; names as MLflow takes them.
    params, tags : mapping of str to str
        As MLflow takes them.
    is_first : bool
        Whether the run is known to have neither metrics nor params, and none of these tags.
    """
    if is_first and _is_known(client):
        _write_rows(client, run_id, metrics, params, tags)
        return
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        run_id,
        metrics=[Metric(*noted) for noted in metrics],
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
        synchronous=True,
    )


def _is_known(client: MlflowClient) -> bool:
    """Tell whether a store is a database that an MLflow writes to whose ways are known."""
    import mlflow
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return (
        mlflow.__version__.startswith(_KNOWN_MLFLOW) and type(store_of(client)) is SqlAlchemyStore
    )


def _write_rows(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[Noted],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> None:
    """Write the rows that `log_batch` writes for a run that has none of them yet."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlTag
    from sqlalchemy import insert

    store = store_of(client)
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    newest: dict[str, tuple[tuple[int, int, float], dict[str, object]]] = {}
    for key, number, at_ms, step in metrics:
        is_nan, value = store.sanitize_metric_value(number)
        row = {
            "key": key,
            "value": value,
            "timestamp": at_ms,
            "step": step,
            "is_nan": is_nan,
            "run_uuid": run_id,
        }
        rows.setdefault((key, value, at_ms, step, is_nan), row)  # what is said twice stands once
        rank = (step, at_ms, value)
        if key not in newest or rank > newest[key][0]:
            newest[key] = (rank, row)
    written = {
        SqlParam: [{"key": k, "value": v, "run_uuid": run_id} for k, v in params.items()],
        SqlTag: [{"key": k, "value": v, "run_uuid": run_id} for k, v in tags.items()],
        SqlMetric: list(rows.values()),
        SqlLatestMetric: [row for _, row in newest.values()],
    }
    with store.ManagedSessionMaker(read_only=False) as session:
        for table, values in written.items():
            if values:
                session.execute(insert(table), values)
