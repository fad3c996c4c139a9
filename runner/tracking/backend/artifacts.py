"""Artifacts of runs: where a store may send them, and how single files are read back.

MLflow would send them wherever the store says: to any server, cloud or folder. Anybody may have
made a store in which a run is looked up, so its word is checked first. A file is read whole, up to
a limit, from the run's own folder or the tracking server itself, through no link.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from runner.system.errors import MissingError, RecordError, StoreError, shorten
from runner.system.files import sync_file_system
from runner.system.text import printable, without_passwords
from runner.tracking.backend.client import store_errors, store_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runner.tracking.backend.address import Address
    from runner.tracking.backend.rows import Backend, Run

_CHUNK_BYTES = 1 << 16


def send_folder(backend: Backend, folder: Path, uri: str, under: str | None = None) -> None:
    """Copy the files of a folder to an artifact location, or to a folder `under` it.

    Each is whole or absent in a folder of this machine. Elsewhere MLflow sends them; the client's
    own call would read the whole run again to find the location.
    """
    target = local_folder(uri)
    if target is None:
        _repository(backend, uri).log_artifacts(str(folder), under)
        return
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            copy = target / (under or "") / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_name(f".{copy.name}.part")
            shutil.copyfile(file, unfinished)
            unfinished.replace(copy)
    if backend.is_durable and target.is_dir():
        sync_file_system(target)


def write_files(backend: Backend, uri: str, files: Mapping[str, bytes]) -> None:
    """Write files to the artifact location of a run that nobody reads before it has ended."""
    if not files:
        return
    folder = local_folder(uri)
    if folder is None:
        with TemporaryDirectory(prefix="runner-") as scratch:
            for name, content in files.items():
                Path(scratch, name).parent.mkdir(parents=True, exist_ok=True)
                Path(scratch, name).write_bytes(content)
            send_folder(backend, Path(scratch), uri)
        return
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103  (this and open cost half of what Path does)
    for name, content in files.items():
        path = f"{folder}/{name}"
        try:
            if "/" in name:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            try:
                while content := content[os.write(descriptor, content) :]:
                    pass
            finally:
                os.close(descriptor)
        except OSError as error:
            error.filename = path  # a write has none
            raise


def remove_artifacts(backend: Backend, uri: str, files: Iterable[str]) -> None:
    """Remove files from an artifact location, wherever it is."""
    folder = local_folder(uri)
    if folder is not None:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        return
    for name in files:
        _repository(backend, uri).delete_artifacts(name)


def remove_files(uri: str, files: Iterable[str]) -> None:
    """Remove what `write_files` wrote of a run that the store does not have, as far as it can."""
    folder = local_folder(uri)
    if folder is None:
        return
    with suppress(OSError):
        for name in files:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        folder.parent.rmdir()


def sync_files(uris: Iterable[str]) -> None:
    """Have the disk of some artifact locations write all that it was given.

    That is one call for the files of many runs; one for each takes ten times as long.
    """
    folders = [folder for folder in map(local_folder, uris) if folder is not None]
    for folder in {os.stat(folder).st_dev: folder for folder in folders}.values():  # noqa: PTH116
        sync_file_system(folder)


class ArtifactGuard:
    """Decides whether artifacts of an experiment may go where its store says.

    A trusted store, which the person chose to record in, may name any location; another only
    folders beside its database or below MLflow's default, the tracking server itself, or those
    below the place that the person has named.
    """

    def __init__(
        self, backend: Backend, address: Address, experiment: str, *, is_trusted: bool
    ) -> None:
        self._address = address
        self._experiment = experiment
        self._is_trusted = is_trusted
        self._folders: list[Path] = []
        if is_trusted:
            return
        if address.is_server:
            # MLflow would otherwise send large files to whatever address the server names.
            os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
            return
        if address.is_database_server:
            folder = local_folder(address.place or "")
            self._folders = [] if folder is None else [folder]
            return
        default = local_folder(backend.default_artifacts)
        beside = address.database.parent if address.database else None
        self._folders = [folder for folder in (beside, default) if folder is not None]

    def allowed(self, uri: str) -> str:
        """Return an artifact location, or raise `RecordError` if nothing may be sent there."""
        if self._is_trusted:
            return uri
        help_ = ""
        if self._address.is_server:
            is_allowed, rule = self._is_served(uri), "through its server (mlflow-artifacts:/...)"
        elif self._address.is_database_server:
            is_allowed = self._is_in_place(uri)
            rule = f"below tracking.artifacts ({without_passwords(self._address.place or 'null')})"
            help_ = "The setting tracking.artifacts=PLACE, if you know that place, admits it. "
        else:
            is_allowed, rule = self._is_inside(uri), f"below {' or '.join(map(str, self._folders))}"
        if not is_allowed:
            raise RecordError(
                f"experiment {shorten(self._experiment, 60)}: its artifacts must go {rule} for a "
                f"rerun to be recorded, got {shorten(without_passwords(uri))}.\n"
                f"{help_}--check compares, and records nothing."
            )
        return uri

    def _is_in_place(self, uri: str) -> bool:
        place = self._address.place
        if place is None or self._folders:
            return self._is_inside(uri)
        return uri.startswith(f"{place}/") and ".." not in uri.split("/")

    def _is_served(self, uri: str) -> bool:
        try:
            parts = urlsplit(uri)
        except ValueError:  # brackets that enclose no address
            return False
        own = urlsplit(self._address.uri).netloc.rpartition("@")[2]
        return parts.scheme == "mlflow-artifacts" and parts.netloc in {"", own}

    def _is_inside(self, uri: str) -> bool:
        folder = local_folder(uri)
        if folder is None:
            return False
        try:
            target = folder.resolve()
            return any(target.is_relative_to(allowed.resolve()) for allowed in self._folders)
        except (OSError, RuntimeError):  # names longer than any; links in a circle
            return False


def local_folder(uri: str) -> Path | None:
    """Return the folder of this machine that a path or ``file:`` URI names; None for others."""
    try:
        parts = urlsplit(uri)
        path = Path(unquote(parts.path) if parts.scheme == "file" else uri)
    except ValueError:  # brackets that enclose no address
        return None
    if parts.scheme not in {"", "file"} or parts.netloc or not path.is_absolute():
        return None
    if parts.scheme == "file" and (parts.query or parts.fragment):
        return None
    return None if ".." in path.parts or "\0" in str(path) else path


def read_artifact(backend: Backend, address: Address, run: Run, name: str, limit: int) -> bytes:
    """Return the content of one artifact of a run.

    A `RecordError` says that it is missing, has more than `limit` bytes, is no plain file, or is
    not where the artifacts of the run have to be.
    """
    if address.is_server:
        return _read_from_server(backend.client, address, run.run_id, name, limit)
    if _is_in_place(address, run):
        if name not in _listed(backend, run, posixpath.dirname(name)):
            raise MissingError(f"{name}: is missing; it should be in {run.artifact_uri}.")
        with TemporaryDirectory(prefix="runner-") as scratch, store_errors(address.uri):
            _repository(backend, run.artifact_uri).download_artifacts(name, scratch)
            return read_file(Path(scratch), name, limit)
    return read_file(folder_of(address, run), name, limit)


def list_files(backend: Backend, address: Address, run: Run, under: str) -> list[str]:
    """Return the paths of the files in one of the folders of a run."""
    if address.is_server or _is_in_place(address, run):
        return _listed(backend, run, under)
    return sorted(f"{under}/{file.name}" for file in (folder_of(address, run) / under).glob("*"))


def _listed(backend: Backend, run: Run, under: str) -> list[str]:
    with store_errors(backend.uri):
        files = backend.client.list_artifacts(run.run_id, under or None)
        return [file.path for file in files if not file.is_dir]


def _is_in_place(address: Address, run: Run) -> bool:
    """Tell whether the files of a run are elsewhere than on this machine, where the config says."""
    uri = run.artifact_uri
    return bool(address.place) and local_folder(uri) is None and uri.startswith(f"{address.place}/")


def _repository(backend: Backend, uri: str) -> Any:  # noqa: ANN401  (MLflow has no annotation)
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=backend.client.tracking_uri)


def folder_of(address: Address, run: Run) -> Path:
    """Return the folder of a run's artifacts, or raise `RecordError` if it is not where it must be.

    It is one of this machine: the store is no server.
    """
    uri, run_id = run.artifact_uri, run.run_id
    folder = local_folder(uri)
    # As MLflow lays them out: any other folder is not this run's.
    if folder is None or folder.parts[-2:] != (run_id, "artifacts"):
        raise RecordError(
            f"artifacts: must be in a folder .../{run_id}/artifacts of this machine, or "
            f"be served by the tracking server, got {shorten(without_passwords(uri))}."
        )
    if address.artifacts is not None and not folder.exists():
        # A store that was copied, or moved, has them beside its database all the same.
        folder = address.artifacts.joinpath(*folder.parts[-3:])
    # Above them a person may have put a link to another disk; MLflow puts none here.
    for path in (folder, folder.parent):
        if path.is_symlink():
            rule = "must be in a folder of the run"
            raise RecordError(f"artifacts: {rule}, got a link at {printable(path)}.")
    return folder


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """Return the content of a plain file of a folder; see `read_artifact`."""
    path = folder / name
    shown = printable(path)
    for parent in path.relative_to(folder).parents[:-1]:
        if (folder / parent).is_symlink():
            raise RecordError(f"{parent}: must be a plain folder, got a link at {shown}.")
    try:
        # Without following a link, and without waiting for whoever writes into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise RecordError(f"{name}: must be a plain file, got something else at {shown}.")
            if status.st_size > limit:
                raise _too_large(name, limit, f"{status.st_size:,}")
            return file.read(limit)
    except FileNotFoundError:
        raise MissingError(f"{name}: is missing; it should be at {shown}.") from None
    except OSError as error:
        if path.is_symlink():
            raise RecordError(f"{name}: must be a plain file, got a link at {shown}.") from None
        reason = error.strerror or type(error).__name__
        raise RecordError(f"{name}: cannot be read at {shown}: {reason.lower()}.") from None


def _too_large(name: str, limit: int, got: str) -> RecordError:
    return RecordError(f"{name}: must have at most {limit:,} bytes, got {got}.")


def _read_from_server(
    client: MlflowClient, address: Address, run_id: str, name: str, limit: int
) -> bytes:
    """Ask the tracking server itself, and nobody whom it or the run may point to."""
    from mlflow.utils.rest_utils import http_request

    with store_errors(address.uri):
        answer = http_request(  # type: ignore[no-untyped-call]  # MLflow has no annotation
            store_of(client).get_host_creds(),
            f"/get-artifact?path={quote(name)}&run_uuid={run_id}",
            "GET",
            raise_on_status=False,
            # Not compressed, so that the limit counts what comes.
            extra_headers={"Accept-Encoding": "identity"},
            allow_redirects=False,
            stream=True,
        )
        with answer:
            if answer.status_code in {400, 404}:
                raise MissingError(f"{name}: is missing; the server has none for this run.")
            if answer.status_code != 200:
                asked = f"answered {answer.status_code} when asked for {name} of run {run_id}"
                raise StoreError(f"{address.shown}: {asked}")
            content = bytearray()
            for chunk in answer.raw.stream(_CHUNK_BYTES, decode_content=False):
                content += chunk
                if len(content) > limit:
                    raise _too_large(name, limit, "more")
    return bytes(content)
