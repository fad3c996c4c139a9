"""Where what is recorded in an experiment may go; the one place that decides it.

MLflow would send it wherever the store says: to any server, cloud or folder. A store may be wrong
about that, since it was moved, and one that is read for a rerun may have been made by anybody.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.system.errors import RecordError, shorten
from runner.system.text import without_passwords
from runner.tracking.backend.locations import local_folder, settled
from runner.tracking.backend.rows import set_place_of_model, set_place_of_run, store_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, LoggedModel, Run

    from runner.tracking.backend.address import Address


@dataclass(frozen=True)
class Destination:
    """Where the artifacts of an experiment go.

    Parameters
    ----------
    experiment : str
        Its name, for messages.
    folder : Path or None
        The experiment's own; None where the store names the place of each run.
    server : str or None
        The only server that anything may be sent to; None where the store is believed.
    """

    experiment: str
    folder: Path | None = None
    server: str | None = None

    def of_run(self, client: MlflowClient, run: Run) -> str:
        """Return where the artifacts of a run go, and let the store say the same.

        Raises
        ------
        RecordError
            If the store names a place that they may not go to.
        """
        run_id, told = str(run.info.run_id), str(run.info.artifact_uri)
        if self.folder is None:
            return self._served(told)
        # As MLflow lays them out; not as the store says, which may have been changed meanwhile.
        place = self.folder / run_id / "artifacts"
        if local_folder(told) != place:
            set_place_of_run(client, run_id, place.as_uri())
        return place.as_uri()

    def of_model(self, client: MlflowClient, model: LoggedModel) -> str:
        """Return where the files of a model go; see `of_run`."""
        model_id, told = str(model.model_id), str(model.artifact_location)
        if self.folder is None:
            return self._served(told)
        place = self.folder / "models" / model_id / "artifacts"
        if local_folder(told) != place:
            set_place_of_model(client, model_id, place.as_uri())
        return place.as_uri()

    def _served(self, told: str) -> str:
        if self.server is not None:
            _require_served(self.experiment, told, self.server)
        return told


def destination_of(
    client: MlflowClient, address: Address, experiment: Experiment, *, is_believed: bool
) -> Destination:
    """Find out where the artifacts of an experiment go, before there are any.

    Parameters
    ----------
    client : MlflowClient
        Connected to the store.
    address : Address
        Where that is.
    experiment : mlflow.entities.Experiment
        As the store has it.
    is_believed : bool
        Whether the person chose the store to record in; one in which a run was looked up may have
        been made by anybody.

    Raises
    ------
    RecordError
        If they would go where they may not.
    """
    name, told = str(experiment.name), str(experiment.artifact_location)
    if address.is_server:
        if is_believed:
            return Destination(name)
        # Large files are otherwise sent to whatever address the server tells.
        os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
        _require_served(name, told, address.uri)
        return Destination(name, server=address.uri)
    if address.database is None and is_believed:
        return Destination(name)
    folder = local_folder(told)
    if is_believed:
        # Where a person's own store sends them to a cloud, MLflow knows the way.
        return Destination(name, None if folder is None else settled(address, folder))
    allowed = _allowed(client, address)
    if folder is None or not _leads_into(folder := settled(address, folder), allowed):
        raise _refusal(name, f"below {' or '.join(map(str, allowed))}", told)
    return Destination(name, folder)


def send_folder(client: MlflowClient, folder: Path, place: str, under: str | None = None) -> None:
    """Copy the files of a folder to where a `Destination` says.

    The client's own call does the same, after reading the whole run again to find a place that we
    know: a sixth of the cost of recording a run.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(place, tracking_uri=client.tracking_uri)
    repository.log_artifacts(  # type: ignore[no-untyped-call]  # MLflow has no annotation
        str(folder), under
    )


def _allowed(client: MlflowClient, address: Address) -> list[Path]:
    """Return the folders for what is recorded in a store that is not believed."""
    folders = [address.database.parent] if address.database is not None else []
    # Where MLflow itself would put them.
    default = local_folder(str(getattr(store_of(client), "artifact_root_uri", "")))
    return [*folders, default] if default is not None else folders


def _leads_into(folder: Path, allowed: list[Path]) -> bool:
    """Tell whether a folder is in one of others, wherever links lead."""
    try:
        place = folder.resolve()
        return any(place.is_relative_to(each.resolve()) for each in allowed)
    except (OSError, RuntimeError):  # names longer than any; links in a circle
        return False


def _require_served(experiment: str, told: str, server: str) -> None:
    """Make sure that artifacts go through the tracking server itself."""
    try:
        parts = urlsplit(told)
        own = urlsplit(server).netloc.rpartition("@")[2]
        is_served = parts.scheme == "mlflow-artifacts" and parts.netloc in {"", own}
    except ValueError:  # brackets that enclose no address
        is_served = False
    if not is_served:
        raise _refusal(experiment, "through its server (mlflow-artifacts:/...)", told)


def _refusal(experiment: str, where: str, got: str) -> RecordError:
    return RecordError(
        f"{_artifacts_of(experiment)} must go {where} for a rerun to be recorded, got "
        f"{shorten(without_passwords(got))}.\n--check compares, and records nothing."
    )


def _artifacts_of(experiment: str) -> str:
    return f"experiment {shorten(experiment, 60)}: its artifacts"
