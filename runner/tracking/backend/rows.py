"""MLflow's own tables, where it has no call for what we need of them.

Nothing but single rows and columns by their keys; the rest is MLflow's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient


def store_of(client: MlflowClient) -> Any:  # noqa: ANN401  (MLflow has no annotation for it)
    """Return the object through which a client reaches its store."""
    return client._tracking_client.store  # noqa: SLF001  (MLflow has no public way to it)


def set_place_of_run(client: MlflowClient, run_id: str, uri: str) -> None:
    """Let a database name the folder of a run's artifacts.

    MLflow derives it from the experiment's, once, when it creates the run.
    """
    from mlflow.store.tracking.dbmodels.models import SqlRun

    with store_of(client).ManagedSessionMaker(read_only=False) as session:
        session.query(SqlRun).filter_by(run_uuid=run_id).update({"artifact_uri": uri})


def set_place_of_model(client: MlflowClient, model_id: str, uri: str) -> None:
    """Let a database name the folder of a model; see `set_place_of_run`."""
    from mlflow.store.tracking.dbmodels.models import SqlLoggedModel

    with store_of(client).ManagedSessionMaker(read_only=False) as session:
        model = session.query(SqlLoggedModel).filter_by(model_id=model_id)
        model.update({"artifact_location": uri})


def metric_names(client: MlflowClient, run_id: str) -> list[str]:
    """Return the metrics of which a database has any value; none of a server, which tells less."""
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    store = store_of(client)
    if not hasattr(store, "ManagedSessionMaker"):
        return []
    with store.ManagedSessionMaker() as session:
        found = session.query(SqlMetric.key).filter_by(run_uuid=run_id).distinct()
        return [key for (key,) in found]
