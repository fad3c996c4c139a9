"""Writes metrics, params and tags of a run in one batch.

MLflow makes an object of each metric and asks the database about each kind of row, which is half
of what recording a run costs. The first batch of a run in a database goes straight into MLflow's
tables instead, as the rows that MLflow would write, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner.tracking.backend.client import store_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Name, value, milliseconds since 1970, step.
LoggedMetric = tuple[str, float, int, int]

# The version whose `log_batch` writes what `_write_rows` does; with any other, MLflow writes.
_TESTED_MLFLOW = "3.17."


def write_batch(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[LoggedMetric],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    is_first: bool,
) -> None:
    """Write metrics, in the order of their measurement, params and tags of a run.

    Names and values have to be legal. With `is_first` the run is known to have neither metrics nor
    params, and none of these tags.
    """
    if is_first and _is_tested(client):
        _write_rows(client, run_id, metrics, params, tags)
        return
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        run_id,
        metrics=[Metric(*metric) for metric in metrics],
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
        synchronous=True,
    )


def _is_tested(client: MlflowClient) -> bool:
    import mlflow
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return (
        mlflow.__version__.startswith(_TESTED_MLFLOW) and type(store_of(client)) is SqlAlchemyStore
    )


def _write_rows(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[LoggedMetric],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> None:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlTag
    from sqlalchemy import insert

    store = store_of(client)
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    latest: dict[str, tuple[tuple[int, int, float], dict[str, object]]] = {}
    for key, number, at_ms, step in metrics:
        is_nan, value = store.sanitize_metric_value(number)
        row = {"key": key, "value": value, "timestamp": at_ms, "step": step, "is_nan": is_nan}
        row["run_uuid"] = run_id
        rows.setdefault((key, value, at_ms, step, is_nan), row)  # duplicates are stored once
        rank = (step, at_ms, value)
        if key not in latest or rank > latest[key][0]:
            latest[key] = (rank, row)
    tables = {
        SqlParam: [{"key": k, "value": v, "run_uuid": run_id} for k, v in params.items()],
        SqlTag: [{"key": k, "value": v, "run_uuid": run_id} for k, v in tags.items()],
        SqlMetric: list(rows.values()),
        SqlLatestMetric: [row for _, row in latest.values()],
    }
    with store.ManagedSessionMaker(read_only=False) as session:
        for table, values in tables.items():
            if values:
                session.execute(insert(table), values)
