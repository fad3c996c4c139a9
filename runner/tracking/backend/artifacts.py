"""Single files among a run's artifacts, read as what they are: bytes from somebody else.

A file is read whole, up to a limit, and from where MLflow puts the artifacts of just that run: a
link, another folder or another server is refused. Knows places, not what is in the files.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from runner.system.errors import MissingError, RecordError, StoreError, shorten
from runner.system.text import printable, without_passwords
from runner.tracking.backend import client as library
from runner.tracking.backend.locations import is_folder, local_folder, settled

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from runner.tracking.backend.address import Address

_CHUNK_BYTES = 1 << 16


def read_artifact(client: MlflowClient, address: Address, run: Run, name: str, limit: int) -> bytes:
    """Return the content of one artifact.

    Parameters
    ----------
    client : MlflowClient
        Connected to the store.
    address : Address
        Where that is.
    run : mlflow.entities.Run
        Whose artifact it is.
    name : str
        A file's path among the artifacts, one that this program knows.
    limit : int
        The most bytes that it may have.

    Raises
    ------
    RecordError
        If it is not there, is larger, is no plain file, or is not where it would have to be.
    StoreError
        If the server fails.
    """
    if address.is_server:
        return _from_server(client, address, run.info.run_id, name, limit)
    folder = _folder(address, run)
    # Above them a person may have put a link to another disk; MLflow puts none here.
    for place in (folder, folder.parent):
        if place.is_symlink():
            raise RecordError(
                f"artifacts: must be in a folder of the run, got a link at {printable(place)}."
            )
    return read_file(folder, name, limit)


def _folder(address: Address, run: Run) -> Path:
    """Return the folder of a run's artifacts, which the store is free to name."""
    uri, run_id = str(run.info.artifact_uri), run.info.run_id
    named = local_folder(uri)
    # As MLflow lays them out: whatever else a store names, it is not this run's.
    if named is None or named.parts[-2:] != (run_id, "artifacts"):
        raise RecordError(
            f"artifacts: must be in a folder .../{run_id}/artifacts of this machine, or "
            f"be served by the tracking server, got {shorten(without_passwords(uri))}."
        )
    # A store that was moved, or copied to another machine, took its artifacts along.
    folder = settled(address, named.parent.parent) / run_id / "artifacts"
    return named if is_folder(named) and not is_folder(folder) else folder


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """Return the content of a plain file; see `read_artifact`."""
    path = folder / name
    where = printable(path)
    for between in path.relative_to(folder).parents[:-1]:
        if (folder / between).is_symlink():
            raise RecordError(f"{between}: must be a plain folder, got a link at {where}.")
    try:
        # Without following a link, and without waiting for whoever is at the end of a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise RecordError(f"{name}: must be a plain file, got something else at {where}.")
            if found.st_size > limit:
                raise _too_large(name, limit, f"{found.st_size:,}")
            return file.read(limit + 1)[:limit]
    except FileNotFoundError:
        raise MissingError(f"{name}: is missing; it should be at {where}.") from None
    except OSError as error:
        if path.is_symlink():
            raise RecordError(f"{name}: must be a plain file, got a link at {where}.") from None
        reason = error.strerror or type(error).__name__
        raise RecordError(f"{name}: cannot be read at {where}: {reason.lower()}.") from None


def _too_large(name: str, limit: int, got: str) -> RecordError:
    return RecordError(f"{name}: must have at most {limit:,} bytes, got {got}.")


def _from_server(
    client: MlflowClient, address: Address, run_id: str, name: str, limit: int
) -> bytes:
    """Ask the tracking server itself, and nobody whom it or the run may point to."""
    from mlflow.utils.rest_utils import http_request

    credentials = client._tracking_client.store.get_host_creds  # noqa: SLF001  (MLflow has no public way to ask a server for one file without asking where it is)
    with library.in_words(address.uri):
        answer = http_request(  # type: ignore[no-untyped-call]  # MLflow has no annotation
            credentials(),
            f"/get-artifact?path={quote(name)}&run_uuid={run_id}",
            "GET",
            raise_on_status=False,
            # Not compressed: what the limit counts is what comes.
            extra_headers={"Accept-Encoding": "identity"},
            allow_redirects=False,
            stream=True,
        )
        with answer:
            if answer.status_code in {400, 404}:
                raise MissingError(f"{name}: is missing; the server has none for this run.")
            if answer.status_code != 200:
                raise StoreError(
                    f"{address.shown}: answered {answer.status_code} when asked for"
                    f" {name} of run {run_id}"
                )
            content = bytearray()
            for chunk in answer.raw.stream(_CHUNK_BYTES, decode_content=False):
                content += chunk
                if len(content) > limit:
                    raise _too_large(name, limit, "more")
    return bytes(content)
