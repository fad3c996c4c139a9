"""Type-check the values that MLflow hands on from a database, whose columns may hold anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

from runner.system.errors import RecordError, shorten
from runner.system.text import elide
from runner.tracking.backend.client import store_errors


@contextmanager
def in_record(label: str, uri: str) -> Iterator[None]:
    """Turn what MLflow raises about a row that it cannot read into a `RecordError`.

    `label` names the run in the message; other failures of the store become a `StoreError`.
    """
    with store_errors(uri):
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            # INTERNAL_ERROR is MLflow's word for what fails after the database has answered.
            is_of_a_row = error.error_code == "INTERNAL_ERROR" or (
                "Could not decode to UTF-8" in str(error)
            )
            if uri.startswith("http") or not is_of_a_row:
                raise
            reason = str(error).strip().partition("\n")[0]
            raise RecordError(f"{label}: is no sound record: {elide(reason, 100)}.") from None


def tags_of(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return the tags of a run, or raise `RecordError` if one of ours is not text."""
    texts = texts_of(tags)
    for name in tags.keys() - texts.keys():
        if isinstance(name, str) and name.startswith("runner."):
            raise RecordError(f"{elide(name, 60)}: must be text, got {shorten(tags[name])}.")
    return texts


def texts_of(values: Mapping[Any, Any]) -> dict[str, str]:
    """Return the values that are text."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(name, str) and isinstance(value, str)
    }


def numbers_of(values: Mapping[Any, Any]) -> dict[str, float]:
    """Return the values that are numbers."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(name, str) and _is_number(value)
    }


def metric_of(name: object, step: object, value: object) -> tuple[str, int, float]:
    """Return the name, step and value of a metric, or raise `RecordError`."""
    if not isinstance(name, str):
        raise RecordError(f"metrics: must have names that are text, got {shorten(name)}.")
    if not isinstance(step, int) or isinstance(step, bool):
        raise RecordError(
            f"metrics, {shorten(name)}: must have steps that are whole numbers, "
            f"got {shorten(step)}."
        )
    if not _is_number(value):
        raise RecordError(
            f"metrics, {shorten(name)} at step {step:,}: must be a number, got {shorten(value)}."
        )
    return name, step, float(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
