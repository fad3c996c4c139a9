"""What is on record of a run that is to be repeated, checked as far as it can be.

Where the record lies, in a store or in an exported folder, is its source's affair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runner.config import Experiment, fingerprint_of, to_plain
from runner.data.dataset import check_room
from runner.environment import digest_of_decisive
from runner.errors import ConfigError, DataError, RecordError, shorten
from runner.metrics import METRICS_DIGEST, Metrics, metrics_sha256
from runner.records.hostile import (
    CONFIG_LIMIT,
    TEXT_LIMIT,
    parse_config,
    parse_json,
    parse_weights,
    weights_limit,
)
from runner.records.model import RecordedModel
from runner.run_files import (
    CONFIG,
    DIGESTS,
    ENVIRONMENT,
    MODEL,
    WEIGHTS,
    sha256,
    weights_sha256,
)
from runner.text import elide
from runner.tracking import flattened, varied_of

# What a run records; other metrics may have been added to it by anybody.
_OURS = ("train/", "val/", "test/", "best/")
# Where a run is recorded and how a sweep is run are today's affair, not the record's.
_OF_TODAY = ("tracking", "sweep")


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


@dataclass(frozen=True)
class Original:
    """A run that is to be repeated.

    Parameters
    ----------
    source : Source
        Where it is on record.
    experiment : Experiment
        What was run, recorded to nowhere and in no sweep.
    """

    source: Source = field(repr=False)
    experiment: Experiment

    @classmethod
    def read(cls, source: Source) -> Original:
        """Read what was run.

        Raises
        ------
        RecordError
            If it is not on record, cannot be read, or was edited.
        StoreError
            If the store fails.
        """
        kind = source.tags.get("runner.kind")
        if kind in {"sweep", "group", "rerun"}:
            raise RecordError(f"{source.place}: is a {kind}; name one of its runs.")
        if kind not in {"run", None} or "runner.key" not in source.tags:
            raise RecordError(f"{source.place}: must be a run of this program, got another tool's.")
        _require_end(source)
        content = source.read(CONFIG, CONFIG_LIMIT)
        values = parse_config(content, CONFIG)
        was_edited = digests_of(source).get(CONFIG, "") not in {sha256(content), ""}
        for section in _OF_TODAY:
            values.pop(section, None)
        try:
            experiment = Experiment.from_dict(values)
        except ConfigError as error:
            edited = "was edited after the run: " if was_edited else ""
            raise RecordError(f"{CONFIG}: {edited}{error}") from None
        original = cls(source, experiment)
        # By the values on record: a later version may have settings that they lack.
        key = fingerprint_of(values, source.tags.get("runner.data_digest", ""))
        if was_edited or key != source.tags["runner.key"]:
            if edits := original._edits() or (was_edited and " (its digest differs)"):
                raise RecordError(f"{CONFIG}: was edited after the run{edits}.")
            raise RecordError(
                f"runner.key: must be that of {CONFIG} and runner.data_digest; one of the tags "
                "was edited after the run."
            )
        return original

    def _edits(self) -> str:
        """Say which settings the config has otherwise than the run's params."""
        params = self.source.params
        told = {
            name: value
            for name, value in flattened(to_plain(self.experiment)).items()
            if not name.startswith(_OF_TODAY)
        }
        edits = [
            f"{name} is {shorten(value)}, and the run's params say {shorten(params[name])}"
            for name, value in told.items()
            if name in params and params[name] != value
        ]
        return f": {'; '.join(edits[:3])}" if edits else ""

    @property
    def varied(self) -> Mapping[str, str]:
        """The overrides by which it differed from others of its sweep."""
        return varied_of(self.source.tags)

    def metrics(self) -> tuple[Metrics, list[str]]:
        """Return every value that the run recorded, and what is wrong with their record."""
        metrics = {at: v for at, v in self.source.metrics().items() if at[0].startswith(_OURS)}
        if metrics_sha256(metrics) == self.source.tags.get(METRICS_DIGEST):
            return metrics, []
        return metrics, [
            "the metrics: were changed after the run (their digest differs from the recorded one)"
        ]

    def weights(
        self, shapes: Mapping[str, tuple[int, ...]]
    ) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Return the parameters that it left, and what is wrong with their record.

        Parameters
        ----------
        shapes : mapping of str to tuple of int
            What has to be there.

        Raises
        ------
        RecordError
            If they are missing, damaged, or of other names, shapes or type.
        """
        dtype = self.experiment.dtype
        content = self.source.read(WEIGHTS, self.weights_limit(shapes))
        weights = parse_weights(content, shapes, dtype, WEIGHTS)
        findings = self._changed(WEIGHTS, content)
        recorded = self.source.tags.get("runner.weights_sha256")
        if not findings and weights_sha256(weights) != recorded:
            findings = [f"{WEIGHTS}: are not the weights that the tag runner.weights_sha256 names"]
        return weights, findings

    def weights_limit(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Return how many bytes the archive of the parameters can have.

        Raises
        ------
        RecordError
            If this machine has no room for them.
        """
        limit = weights_limit(shapes, np.dtype(self.experiment.dtype).itemsize)
        try:
            check_room(WEIGHTS, f"{len(shapes) // 2:,} layers, as config and model say", limit)
        except DataError as error:
            raise RecordError(str(error)) from None
        return limit

    def model(self) -> tuple[RecordedModel, list[str]]:
        """Return what is done with raw rows, and what is wrong with its record.

        Raises
        ------
        RecordError
            If it is missing, or is no such thing.
        """
        content = self.source.read(MODEL, TEXT_LIMIT)
        return RecordedModel.parse(content, MODEL), self._changed(MODEL, content)

    def environment(self) -> tuple[object, list[str]]:
        """Return where it was run, as plain data, and what is wrong with that record."""
        try:
            content = self.source.read(ENVIRONMENT, TEXT_LIMIT)
            environment = parse_json(content, ENVIRONMENT)
        except RecordError as error:
            return None, [str(error)]
        findings = self._changed(ENVIRONMENT, content)
        decisive = environment.get("decisive") if isinstance(environment, dict) else None
        if not findings and digest_of_decisive(decisive) != self.source.tags.get(
            "runner.environment"
        ):
            findings = [f"{ENVIRONMENT}: is not the environment that the run's tags name"]
        return environment, findings

    def _changed(self, name: str, content: bytes) -> list[str]:
        recorded = digests_of(self.source).get(name)
        if recorded is None or recorded == sha256(content):
            return []
        return [f"{name}: was changed after the run (its digest differs from the recorded one)"]


def _require_end(source: Source) -> None:
    """Make sure that a run left all that it should; one that diverged has, as a finished one."""
    if source.status == "RUNNING":
        raise RecordError(f"{source.place}: is still RUNNING; it has no result yet.")
    # The digests are told when all is stored.
    if source.status != "FINISHED" and DIGESTS not in source.tags:
        reason = shorten(source.failure) if source.failure else "no reason on record"
        raise RecordError(
            f"{source.place}: ended {elide(source.status, 20)} ({reason}) and left no result."
        )


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
