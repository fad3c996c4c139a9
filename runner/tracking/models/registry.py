"""Puts a logged model into MLflow's registry, as the version that others are told to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.tracking.backend.client import Ignoring

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIAS = "champion"


def register(client: MlflowClient, run_id: str, name: str) -> str | None:
    """Give the model of a run the alias under a name; return its version, or None without a model.

    A model that has been registered under the name before keeps its version.
    """
    outputs = client.get_run(run_id).outputs
    if outputs is None or not outputs.model_outputs:
        return None
    model_id = outputs.model_outputs[-1].model_id
    with Ignoring("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(name)
    versions = client.search_model_versions(f"name='{name}' and run_id='{run_id}'")
    known = [one.version for one in versions if one.source == f"models:/{model_id}"]
    version = str(
        known[0]
        if known
        else client.create_model_version(
            name, f"models:/{model_id}", run_id, model_id=model_id
        ).version
    )
    client.set_registered_model_alias(name, ALIAS, version)
    return version
