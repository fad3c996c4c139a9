"""MLflow's environment, its store object, and its errors in one line.

The rest of the package imports MLflow when it is first needed, after `prepare`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.system.errors import StoreError
from runner.system.files import disk_error, room_left
from runner.system.text import without_passwords, without_passwords_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Set unless a person has set them.
_DEFAULTS = {
    # Failures come back as exceptions, which become one line each; MLflow's log adds tracebacks.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # A dead server blocks a call for four minutes by default, a hanging one for twenty.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # No server decides that runs, or passwords, go to another host.
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
}
# SQLite's own words for it name no reason.
NO_SPACE = "cannot be written: no space left on device"
# What urllib3 says when it has given up.
_REFUSALS = re.compile(r"/mlflow(?:-artifacts)?/([\w/-]+).*too many (\d+) error", re.DOTALL)
_CONNECTION_ERROR = re.compile(r"\[Errno -?\d+\] [\w ]+|Read timed out|Connection aborted")


def prepare() -> None:
    """Set MLflow's environment before its first import: no telemetry, a quiet terminal."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Have a variable of the environment, which MLflow reads at each call, for the block alone."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def asked_once() -> AbstractContextManager[None]:
    """Have MLflow ask a server once: a call that is not safe to repeat may have done its work."""
    return variable("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def client_of(uri: str) -> MlflowClient:
    """Return MLflow's client of a store."""
    prepare()
    from mlflow import MlflowClient

    with store_errors(uri):
        return MlflowClient(uri)


def disconnect(client: MlflowClient) -> None:
    """Close a client's connections to a database; it opens others when it needs them."""
    engine = getattr(store_of(client), "engine", None)
    if engine is not None:
        engine.dispose()


def store_of(client: MlflowClient) -> Any:  # noqa: ANN401  (MLflow has no annotation for it)
    """Return MLflow's own store object, through which a client reaches a database or a server."""
    return client._tracking_client.store  # noqa: SLF001  (MLflow has no public way to it)


class Ignoring:
    """Suppresses the errors of MLflow that have one of these codes."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Tell whether the error is suppressed."""
        return getattr(error, "error_code", None) in self._codes


@contextmanager
def store_errors(location: str | Path) -> Iterator[None]:
    """Turn what MLflow, its database or the disk raise into a `StoreError` of one line.

    `location`, the store's URI or the file in question, is named without its password.
    """
    shown = without_passwords(location)
    try:
        yield
    except OSError as error:
        # An error of the disk has a number; a failed request has none.
        is_of_disk = error.errno is not None or isinstance(error, shutil.Error)
        if is_of_disk and (error.filename or "://" not in shown.replace("sqlite:///", "")):
            raise disk_error(Path(str(error.filename or _path(location))), error) from error
        raise StoreError(f"{shown}: {_one_line(error, location)}") from error
    except ImportError as error:
        # SQLAlchemy imports the driver that a URI asks for: psycopg, pymysql, ...
        raise StoreError(
            f"{shown}: needs a Python package that is not installed: {error.name}."
        ) from error
    except Exception as error:
        # Which takes no import of theirs.
        packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        if not packages & {"mlflow", "sqlalchemy", "sqlite3"}:
            raise
        raise StoreError(f"{shown}: {_one_line(error, location)}") from error


def _path(location: str | Path) -> Path:
    return Path(str(location).removeprefix("sqlite:///"))


def _one_line(error: Exception, location: str | Path) -> str:
    # MLflow's messages repeat the address, with its password.
    text = without_passwords_of(str(location), str(error).strip()) or type(error).__name__
    room = room_left(_path(location))
    if "database is locked" in text:
        return "stayed locked by another program"
    if "disk is full" in text:
        return f"the disk is full{room}"
    if "unable to open database file" in text and "inodes" in room:
        return f"{NO_SPACE}{room}"
    if "ConnectionPool(" in text:
        reasons = [match.rpartition("] ")[2].lower() for match in _CONNECTION_ERROR.findall(text)]
        if refused := _REFUSALS.search(text):
            reasons = [f"{refused[1]} ({refused[2]})"]
        return f"the server does not answer{f': {reasons[-1]}' if reasons else ''}"
    # SQLAlchemy's lines: "(raised as a result of ...)", "(sqlite3.OperationalError) why", "[SQL:".
    lines = text.splitlines()
    return next((line.partition("Error) ")[2] for line in lines if "Error) " in line), lines[0])
