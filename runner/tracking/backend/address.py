"""The address of a store, from the config or the environment, checked before anything is trained.

That takes no MLflow, whose import takes two seconds.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import threading
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from runner.system.errors import ConfigError, StoreError
from runner.system.paths import outputs_folder, require_targets
from runner.system.text import elide, without_passwords, without_passwords_of

ALLOWED = (
    "sqlite:///FILE, http://HOST:PORT, https://HOST, databricks, or postgresql, mysql or mssql "
    "with what SQLAlchemy needs"
)
# Seconds for name lookup, connection and first byte of a server together.
ANSWER_WITHIN_S = 8.0
# Bytes: more than any page on which a proxy asks who is there.
_HEALTH_LIMIT = 1 << 24


@dataclass(frozen=True)
class Address:
    """The address of a store.

    `uri` may hold a password, so messages use `shown`; `origin` is the setting or variable that
    names it; `database` is the absolute path of a SQLite file; `place`, of a database that is no
    file, is the URI of all its artifacts, where the config says it.
    """

    uri: str = field(repr=False)
    origin: str = "tracking.uri"
    database: Path | None = None
    place: str | None = None

    @property
    def shown(self) -> str:
        """The URI without its password."""
        return without_passwords(self.uri)

    @property
    def is_server(self) -> bool:
        """Tell whether it is a tracking server over HTTP."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def is_database_server(self) -> bool:
        """Tell whether it is a database that is no file, to which each process connects itself."""
        return self.uri.startswith(("postgresql", "mysql", "mssql"))

    @property
    def artifacts(self) -> Path | None:
        """The folder for artifacts beside a SQLite file; None where MLflow or a server chooses."""
        return self.database.parent / "artifacts" if self.database else None


def experiment_link(server: str, experiment_id: str) -> str:
    """Return the page that shows an experiment's runs; the plain link opens on MLflow's traces."""
    server = server.rstrip("/")
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def resolve(uri: str | None, place: str | None = None) -> Address:
    """Return the address of a store, or raise `ConfigError` if MLflow cannot use it.

    Without a `uri`, the config's ``tracking.uri``, it is ``MLFLOW_TRACKING_URI``, and without that
    too, the embedded SQLite database in the outputs folder. The `place` is ``tracking.artifacts``.
    """
    if uri is not None:
        address = _parse(uri, "tracking.uri")
    elif from_environment := os.environ.get("MLFLOW_TRACKING_URI"):
        address = _parse(from_environment, "MLFLOW_TRACKING_URI")
    else:
        database = outputs_folder() / "mlflow.db"
        require_targets(database)
        address = Address(sqlite_uri(database), database=database)
    if place is None:
        return address
    if not address.is_database_server:
        rule = f"null where {address.origin} is no database server: {address.shown} has a place"
        raise ConfigError("tracking.artifacts", rule, without_passwords(place))
    place = Path(place).as_uri() if place.startswith("/") else place
    return replace(address, place=place.rstrip("/"))


def sqlite_uri(database: Path) -> str:
    """Return the URI of a SQLite file, whatever its folders are called."""
    return "sqlite:///" + str(database).replace("%", "%25").replace("?", "%3F")


def _parse(uri: str, origin: str) -> Address:
    scheme, separator, rest = uri.partition("://")
    # Without a scheme, what is before the @ may be a password.
    shown = without_passwords(uri) if separator else uri.rpartition("@")[2]
    match scheme.split("+")[0] if separator else "":
        case "sqlite":
            if not rest.startswith("/") or rest == "/":
                right = shown.replace("://", ":///", 1)
                hint = f"Did you mean '{right}'?" if rest.strip("/") else ""
                raise ConfigError(origin, "sqlite:///FILE, with three slashes", shown, hint)
            return _sqlite(rest[1:], origin)
        case "http" | "https":
            try:
                good = bool(urlsplit(uri).hostname) and urlsplit(uri).port != 0
            except ValueError:
                good = False
            if not good:
                raise ConfigError(origin, "http://HOST:PORT or https://HOST", shown)
        case "postgresql" | "mysql" | "mssql" | "databricks":
            pass
        case _ if uri != "databricks":
            raise ConfigError(origin, ALLOWED, shown, _path_hint(shown, separator))
    return Address(uri, origin)


def _path_hint(uri: str, separator: str) -> str:
    if separator or not uri:
        return ""
    path = Path(uri.removeprefix("file:")).absolute()
    database = path if path.suffix in {".db", ".sqlite", ".sqlite3"} else path / "mlflow.db"
    return f"Did you mean '{sqlite_uri(database)}'?"


def _sqlite(path: str, origin: str) -> Address:
    # SQLAlchemy decodes the path of a URI too.
    database = Path(unquote(path)).absolute()
    require_targets(database)
    if path == ":memory:" or "?" in path:
        # In memory nothing is kept; a question mark starts SQLAlchemy's options.
        raise ConfigError(origin, "sqlite:///FILE, a file that stays", f"sqlite:///{path}")
    if database.is_dir():
        hint = f"Did you mean '{sqlite_uri(database / 'mlflow.db')}'?"
        raise ConfigError(origin, "sqlite:///FILE, a file and not a folder", path, hint)
    return Address(sqlite_uri(database), origin, database)


def check_answers(address: Address) -> None:
    """Raise `ConfigError` unless a server or database answers within `ANSWER_WITHIN_S` seconds.

    MLflow itself would try for minutes.
    """
    reasons = [_why(TimeoutError())]
    check, what = _check_health, "MLflow server"
    if not address.is_server:
        check, what = _check_connects, "database"
    # In a thread, since a name lookup takes no timeout and a slow server may drip bytes.
    thread = threading.Thread(target=check, args=(address.uri, reasons), daemon=True)
    thread.start()
    thread.join(ANSWER_WITHIN_S)
    if reasons:
        raise ConfigError.plain(
            f"{address.origin}: no {what} answers at {address.shown}: {reasons[-1]}."
        )


def request(server: str, path: str, body: bytes | None = None) -> AbstractContextManager[IO[bytes]]:
    """Post JSON to a server, or get where there is no `body`; return its answer, to be closed.

    The request carries no password and follows no redirect. A refusal, or no answer, is an OSError
    or http.client.HTTPException.
    """
    parts = urlsplit(server)
    # Without "user:password@", which urllib takes for a part of the host's name.
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    message = urllib.request.Request(  # noqa: S310  (the scheme was checked)
        f"{bare.rstrip('/')}{path}", body, {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(_NoRedirects)
    answer: AbstractContextManager[IO[bytes]] = opener.open(message, timeout=ANSWER_WITHIN_S)
    return answer


def _check_health(uri: str, reasons: list[str]) -> None:
    try:
        with request(uri, "/health") as answer:
            if len(answer.read(_HEALTH_LIMIT)) == _HEALTH_LIMIT:
                reasons.append("its answer has no end")
            else:
                reasons.clear()
    except urllib.error.HTTPError:
        # A server that refuses is there; MLflow's own call will say the rest.
        reasons.clear()
    except urllib.error.URLError as error:
        reasons.append(_why(error.reason))
    except (OSError, http.client.HTTPException) as error:
        reasons.append(_why(error))


def _check_connects(uri: str, reasons: list[str]) -> None:
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        create_engine(uri, poolclass=NullPool).connect().close()
        reasons.clear()
    except ImportError as error:
        extra = "softnet-runner[postgres]" if uri.startswith("postgresql") else error.name
        reasons.append(f"it needs the package {error.name}: pip install '{extra}'")
    except SQLAlchemyError as error:
        lines = (line for text in error.args for line in str(text).splitlines() if line.strip())
        reason = next((line.partition("Error) ")[2] or line for line in lines), "unknown")
        reasons.append(without_passwords_of(uri, reason.strip().rstrip(".")))


def why_refused(uri: str, refusal: StoreError) -> str:
    """Say what answers at an address in place of an MLflow server, given MLflow's own words."""
    text = str(refusal)
    code = re.search("error code ([345][0-9]{2})", text)
    match code and code[1]:
        case "401" | "403" as number:
            return (
                f"a user and password are missing or wrong ({number}); set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        case str(number) if number.startswith("3"):
            return f"it redirects{_redirection(uri)} ({number}), which is not followed"
        case "404":
            return "it has none of its pages (404)"
    if "valid JSON" in text:
        return "its answer is no JSON"
    return f"{elide(text.removeprefix(f'{without_passwords(uri)}: '), 200)}."


def _redirection(uri: str) -> str:
    with suppress(OSError, http.client.HTTPException):
        try:
            request(uri, "/health").__enter__().close()
        except urllib.error.HTTPError as error:
            return f" to {elide(without_passwords(error.headers.get('Location', '')), 100)}"
    return ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Take the redirect for the answer."""


def _why(reason: object) -> str:
    match reason:
        case TimeoutError():
            return f"no answer within {ANSWER_WITHIN_S:g} s"
        case socket.gaierror():
            return "no such host"
        case OSError(strerror=str(text)):
            return text.lower()
        case _:
            return elide(reason, 60) or type(reason).__name__
