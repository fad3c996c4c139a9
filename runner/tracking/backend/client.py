"""The door to MLflow: what must be set before it is imported, and what its errors mean.

Telemetry is off and the terminal stays quiet. The rest of this room imports MLflow when it is first
needed, after `prepare`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.system.errors import StoreError
from runner.system.files import disk_error, room_left
from runner.system.text import without_passwords, without_passwords_of

# A person who sets one of these means it; what is merely a default of ours gives way.
_DEFAULTS = {
    # Failures come back as exceptions, which we put into words; MLflow's log adds tracebacks.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # A dead server blocks a call for four minutes by default, a hanging one for twenty.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def prepare() -> None:
    """Set MLflow's environment, once, before the first import of it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def follow_no_redirects() -> None:
    """Have a server answer itself: where else it points to, nothing is asked."""
    os.environ.setdefault("MLFLOW_ALLOW_HTTP_REDIRECTS", "false")


# What urllib3 has to say at the end of all its tries.
_REASON = re.compile(r"\[Errno -?\d+\] [\w ]+|Read timed out|Connection aborted")


@contextmanager
def in_words(place: str | Path) -> Iterator[None]:
    """Turn what MLflow, its database or the disk raise into one line that names the place.

    Parameters
    ----------
    place : str or Path
        The store's URI, or the file it is about; its password is not said.

    Raises
    ------
    StoreError
        In place of any failure of the store.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_passwords(place)
    try:
        yield
    except OSError as error:
        # What the disk says has a number, which a request that failed has not.
        if error.errno is not None:
            raise disk_error(Path(str(error.filename or _path(place))), error) from error
        raise StoreError(f"{shown}: {_in_one_line(error, place)}") from error
    except ImportError as error:
        # SQLAlchemy imports the driver that a URI asks for: psycopg, pymysql, ...
        raise StoreError(
            f"{shown}: needs a Python package that is not installed: {error.name}."
        ) from error
    except (MlflowException, SQLAlchemyError) as error:
        raise StoreError(f"{shown}: {_in_one_line(error, place)}") from error


def _path(place: str | Path) -> Path:
    return Path(str(place).removeprefix("sqlite:///"))


def _in_one_line(error: Exception, place: str | Path) -> str:
    # MLflow repeats the address that it asked.
    text = without_passwords_of(str(place), str(error).strip()) or type(error).__name__
    if "database is locked" in text:
        return "stayed locked by another program"
    if "disk is full" in text:
        return f"the disk is full{room_left(_path(place))}"
    if "ConnectionPool(" in text:
        reasons = [found.rpartition("] ")[2].lower() for found in _REASON.findall(text)]
        return f"the server does not answer{f': {reasons[-1]}' if reasons else ''}"
    # SQLAlchemy's lines: "(raised as a result of ...)", "(sqlite3.OperationalError) why", "[SQL:".
    lines = text.splitlines()
    return next((line.partition("Error) ")[2] for line in lines if "Error) " in line), lines[0])
