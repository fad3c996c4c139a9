"""What MLflow hands on of a run, as the text and the numbers that it should be.

A database column takes anything, and MLflow hands it on as it is: nothing, bytes, a word where a
number should be. Here it is checked, once, so that nobody else has to expect that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

from runner.system.errors import RecordError, shorten
from runner.system.text import elide
from runner.tracking.backend import client as library


@contextmanager
def in_record(place: str, uri: str) -> Iterator[None]:
    """Turn what MLflow raises about a row that it cannot read into an error of that record.

    Parameters
    ----------
    place : str
        The run, as messages name it.
    uri : str
        Of the store.

    Raises
    ------
    RecordError
        If the database has a row that makes no sense.
    StoreError
        In place of any other failure of the store.
    """
    with library.in_words(uri):
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if uri.startswith("http") or not _is_of_a_row(error):
                raise
            reason = str(error).strip().partition("\n")[0]
            raise RecordError(f"{place}: is no sound record: {elide(reason, 100)}.") from None


def _is_of_a_row(error: Any) -> bool:  # noqa: ANN401  (MLflow's, imported by who calls)
    """Tell whether a row is at fault: MLflow's word for what fails after the database answered."""
    return error.error_code == "INTERNAL_ERROR" or "Could not decode to UTF-8" in str(error)


def tags_of(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return the tags of a run.

    Raises
    ------
    RecordError
        If one of ours is not text that can be written.
    """
    found = {}
    for name, value in tags.items():
        if isinstance(name, str) and isinstance(value, str):
            found[name] = value
        elif isinstance(name, str) and name.startswith("runner."):
            raise RecordError(f"{elide(name, 60)}: must be text, got {shorten(value)}.")
    varied = found.get("runner.varied", "")
    if not _can_be_written(varied):
        raise RecordError(
            f"runner.varied: must be text that can be written, got {shorten(varied)}."
        )
    return found


def texts_of(values: Mapping[Any, Any]) -> dict[str, str]:
    """Return what is text; anything else is taken as not there."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(name, str) and isinstance(value, str)
    }


def numbers_of(values: Mapping[Any, Any]) -> dict[str, float]:
    """Return what is a number; anything else is taken as not there."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(name, str) and _is_number(value)
    }


def metric_of(name: object, step: object, value: object) -> tuple[str, int, float]:
    """Return a value of a metric.

    Raises
    ------
    RecordError
        If the name is no text, the step no whole number, or the value no number.
    """
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


def _can_be_written(text: str) -> bool:
    """Tell whether JSON names no halves of characters, which no file and no store takes."""
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except (ValueError, RecursionError):
        return True  # no JSON: whoever reads it says so
    return True
