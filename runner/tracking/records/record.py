"""What is on record of a run that is to be repeated, checked as far as it can be.

Where the record lies, in a store or in an exported folder, is its source's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.config import Experiment, fingerprint_of
from runner.system.environment import digest_of_decisive
from runner.system.errors import ConfigError, DataError, RecordError, shorten
from runner.tracking import flattened, varied_of
from runner.tracking.records.recorded_model import RecordedModel
from runner.tracking.records.source import (
    Source,
    digests_of,
    end_in_words,
    is_possible_end,
    require_end,
)
from runner.tracking.records.untrusted import (
    CONFIG_LIMIT,
    TEXT_LIMIT,
    parse_config,
    parse_json,
    parse_weights,
    weights_limit,
)
from runner.training.data.dataset import check_room
from runner.training.run_files import (
    CONFIG,
    ENVIRONMENT,
    METRICS_DIGEST,
    MODEL,
    WEIGHTS,
    Metrics,
    metrics_sha256,
    sha256,
    weights_sha256,
)

# What a run records; other metrics may have been added to it by anybody.
_OURS = ("train/", "val/", "test/", "best/")
# Where a run is recorded and how a sweep is run are today's affair, not the record's.
_OF_TODAY = ("tracking", "sweep")


@dataclass(frozen=True)
class Original:
    """A run that is to be repeated.

    Parameters
    ----------
    source : Source
        Where it is on record.
    experiment : Experiment
        What was run, recorded to nowhere and in no sweep.
    findings : tuple of str
        What is wrong with the record of its end and its settings, though its key is right.
    """

    source: Source = field(repr=False)
    experiment: Experiment
    findings: tuple[str, ...] = ()

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
        require_end(source)
        content = source.read(CONFIG, CONFIG_LIMIT)
        was_edited = digests_of(source).get(CONFIG, "") not in {sha256(content), ""}
        try:
            values, experiment = _settings(content)
        except RecordError as error:
            if was_edited:
                raise RecordError(f"{error} It was edited after the run.") from None
            raise
        edits = _edits(values, source.params)
        told = f": {edits}" if edits else ""
        if was_edited:
            reason = told or " (its digest differs)"
            raise RecordError(f"{CONFIG}: was edited after the run{reason}.")
        # By the values on record: a later version may have settings that they lack.
        key = fingerprint_of(values, source.tags.get("runner.data_digest", ""))
        if key != source.tags["runner.key"]:
            if edits:
                raise RecordError(f"{CONFIG}: was edited after the run{told}.")
            raise RecordError(
                f"runner.key: must be that of {CONFIG} and runner.data_digest; one of the tags "
                "was edited after the run."
            )
        findings = []
        if edits:
            findings.append(f"{CONFIG}: {edits}; one of them was edited after the run")
        if not is_possible_end(source):
            end = end_in_words(source.status, source.failure)
            findings.append(f"the end was changed after the run: no run ends {end}")
        return cls(source, experiment, tuple(findings))

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


def _settings(content: bytes) -> tuple[dict[str, Any], Experiment]:
    """Read a config: its values as they are on record, and what they mean today."""
    values = parse_config(content, CONFIG)
    for section in _OF_TODAY:
        values.pop(section, None)
    try:
        return values, Experiment.from_dict(values)
    except ConfigError as error:
        raise RecordError(f"{CONFIG}: {error}") from None


def _edits(values: Mapping[str, Any], params: Mapping[str, str]) -> str:
    """Say which settings of a config the run's params, where it has any, have otherwise."""
    if not params:
        return ""
    # A store of plain files keeps no space at the ends.
    edits = [
        f"{name} is {shorten(value)}, and the run's params say {_said(params, name)}"
        for name, value in flattened(values).items()
        if name not in params or params[name].strip() != value.strip()
    ]
    return "; ".join(edits[:3])


def _said(params: Mapping[str, str], name: str) -> str:
    return shorten(params[name]) if name in params else "nothing of it"
