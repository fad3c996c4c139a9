"""Where runs may be recorded: the forms of a tracking URI, checked before anything is opened."""

from __future__ import annotations

from urllib.parse import urlsplit

from runner.config.rules import Rule

_DATABASES = ("postgresql", "mysql", "mssql")
_RULE = (
    "null, http(s)://host[:port], sqlite:///file.db (sqlite:////folder/file.db from the root), "
    "postgresql://... or mysql://..."
)


def tracking_uri() -> Rule:
    """Require one of the forms that runs can be recorded to."""
    return Rule(_RULE, lambda uri: uri is None or _is_store(uri), _right_form)


def _is_store(uri: str) -> bool:
    if not uri.isprintable() or " " in uri:
        return False
    scheme, colon, rest = uri.partition("://")
    if not colon:
        return False
    scheme = scheme.lower().partition("+")[0]
    if scheme == "sqlite":
        path = rest.removeprefix("/").partition("?")[0]
        return rest.startswith("/") and not path.endswith("/") and path not in {"", ":memory:"}
    if scheme in {"http", "https", *_DATABASES}:
        try:
            parts = urlsplit(uri)
            return bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:  # a port that is no number, or a broken IPv6 address
            return False
    return False


def _right_form(uri: object) -> str:
    """Guess what was meant."""
    if not isinstance(uri, str) or not uri.strip():
        return ""
    scheme, colon, rest = uri.partition("://")
    if scheme.lower() == "sqlite" and colon:
        if ":memory:" in rest:
            return "A database in memory would be lost with the process."
        name = rest.lstrip("/").rstrip("/") or "mlflow.db"
        return f"Did you mean 'sqlite:///{name}'?"
    if scheme.lower() == "file" or not colon:
        folder = (rest if colon else uri).rstrip("/")
        if not colon and folder.endswith(".db"):
            return f"Did you mean 'sqlite:///{folder}'?"
        return f"MLflow keeps no runs in folders. Did you mean 'sqlite:///{folder}/mlflow.db'?"
    return ""
