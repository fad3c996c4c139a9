"""The experiments of an MLflow store: found by name, made where they are missing.

Safe when several processes make the same one at once. Knows nothing of runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.system.errors import StoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runner.tracking.backend.address import Address


def experiment_id_of(client: MlflowClient, name: str, address: Address) -> str:
    """Return the id of the experiment of a name; make it where it is missing.

    Raises
    ------
    StoreError
        If it was deleted.
    """
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
            f"{address.shown}: the experiment {name!r} was deleted. Bring it back with"
            f"\n  mlflow experiments restore --experiment-id {found.experiment_id}"
            "\nor set tracking.experiment to another name."
        )
    return str(found.experiment_id)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "experiment"
