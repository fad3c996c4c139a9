"""A run on record, as whoever reads it sees it: what it has to say, and how that is to be taken.

Where it lies, in a store or in an exported folder, is not said; nor what is done with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from runner.system.errors import RecordError, shorten
from runner.system.text import elide
from runner.training.run_files import DIGESTS, Metrics


class Source(Protocol):
    """A run on record; nothing that it says is believed."""

    @property
    def run_id(self) -> str:
        """MLflow's id."""
        ...

    @property
    def name(self) -> str:
        """What the run is called."""
        ...

    @property
    def place(self) -> str:
        """The run, as messages name it."""
        ...

    @property
    def status(self) -> str:
        """How it ended: FINISHED, FAILED or KILLED; or RUNNING."""
        ...

    @property
    def failure(self) -> str | None:
        """Why it did not finish."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        ...

    @property
    def params(self) -> Mapping[str, str]:
        """Its settings, flattened; empty where the source has none beside the config."""
        ...

    @property
    def final(self) -> Mapping[str, float]:
        """The metrics of the weights that were kept."""
        ...

    @property
    def findings(self) -> tuple[str, ...]:
        """What is known to be wrong with the record itself."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of one of its files, of at most `limit` bytes."""
        ...

    def metrics(self) -> Metrics:
        """Return every value of every metric, by name and step."""
        ...


def require_end(source: Source) -> None:
    """Make sure that a run left all that it should; one that diverged has, as a finished one.

    Raises
    ------
    RecordError
        If it did not.
    """
    if source.status == "RUNNING":
        raise RecordError(f"{source.place}: is still RUNNING; it has no result yet.")
    # The digests are told when all is stored.
    if source.status != "FINISHED" and DIGESTS not in source.tags:
        reason = shorten(source.failure) if source.failure else "no reason on record"
        raise RecordError(
            f"{source.place}: ended {elide(source.status, 20)} ({reason}) and left no result."
        )


def end_in_words(status: str, failure: str | None) -> str:
    """Say how a run ended: ``FINISHED``, or ``FAILED ('the loss is nan')``."""
    if failure:
        return f"{elide(status, 20)} ({shorten(failure)})"
    return "FAILED with no reason" if status == "FAILED" else elide(status, 20)


def is_possible_end(source: Source) -> bool:
    """Tell whether a run can have ended like this: FAILED with a reason, FINISHED without one."""
    return source.status == "KILLED" or (source.status, bool(source.failure)) in {
        ("FINISHED", False),
        ("FAILED", True),
    }


def digests_of(source: Source) -> Mapping[str, str]:
    """Return the SHA-256 of each file of a run, as recorded; empty where they are not."""
    digests = _texts(source.tags.get(DIGESTS, "{}"))
    if digests is None:
        raise RecordError(f"{DIGESTS}: must be the digests of the run's files, got something else.")
    return digests


def _texts(content: str) -> dict[str, str] | None:
    """Read texts by name from a tag; None if it is anything else."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    sound = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if sound else None
