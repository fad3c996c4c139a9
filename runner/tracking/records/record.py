"""The record of a run: what was run and what it left, verified part by part.

A part whose digest no longer fits was edited since it was recorded. An edited config or digest of
the data is refused, since nobody knows any more what was run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from runner.config.fingerprint import SCHEMA, read_recorded
from runner.config.plain import UNDECISIVE
from runner.config.plugins import VARIABLE, added, plugins
from runner.config.schema import Experiment
from runner.system.errors import ConfigError, DataError, RecordError, shorten
from runner.system.text import elide
from runner.tracking import params_of, varied_of
from runner.tracking.records import untrusted
from runner.tracking.records.recorded_model import RecordedModel
from runner.tracking.records.untrusted import CONFIG_LIMIT, TEXT_LIMIT, parse_json
from runner.training import run_files
from runner.training.data.dataset import check_room
from runner.training.run_files import (
    CLEANED,
    CONFIG,
    CONFIG_YAML,
    MODEL,
    PARTS,
    RECORD,
    WEIGHTS,
    sha256,
)

if TYPE_CHECKING:
    from runner.tracking.records.export_folder import ExportedRun
    from runner.tracking.records.mlflow_record import StoredRun
    from softnet import NetworkSettings

    Source: TypeAlias = StoredRun | ExportedRun

# Epochs or steps that nobody has lived to see the end of.
_MOST_STEPS = 10**12
# What a run records; other metrics may have been added to it by anybody.
_OURS = ("train/", "val/", "test/", "best/", "baseline/")
# What all runs recorded up to the second schema.
_FIRST_METRICS = re.compile(r"(train|val|test|best|best/train|best/val)/(loss|accuracy|step)")
# The tag of runs of earlier versions that have left all their files.
_DIGESTS_OF_BEFORE = "runner.files_sha256"


@dataclass(frozen=True)
class RecordedNetwork:
    """The network that a run left: what it does with raw rows, its settings and its weights."""

    model: RecordedModel
    settings: NetworkSettings
    weights: Mapping[str, NDArray[Any]]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return run_files.weights_sha256(self.weights)


class Record:
    """The record of a run that has ended.

    Its `experiment` is what was run, without where it was recorded and its sweep; `varied` are the
    settings by which it differed from others of that sweep.
    """

    def __init__(self, source: Source, experiment: Experiment, digests: Mapping[str, str]) -> None:
        self.source = source
        self.experiment = experiment
        self.run_id, self.name = source.run_id, source.name
        self.status, self.failure = source.status, source.failure
        self.tags = source.tags
        self.varied = varied_of(source.tags)
        self._digests = digests
        self._schema = int(self.tags.get("runner.schema", 1))
        self._edits: dict[str, str] = {}

    @classmethod
    def read(cls, source: Source, *, admits_earlier: bool = False) -> Record:
        """Read what was run.

        With `admits_earlier`, a record of a version that left no digests will do; nothing of it is
        verified. Raises `RecordError` if it is no record of a run that left a result, or if its
        config was edited.
        """
        _require_result(source)
        tags = source.tags
        if "runner.schema" not in tags:
            if not admits_earlier:
                raise RecordError(
                    f"{source.label}: was recorded by an earlier version of this program; "
                    "repeat it with that version."
                )
            values = untrusted.parse_yaml_config(
                source.read(CONFIG_YAML, untrusted.YAML_LIMIT), CONFIG_YAML
            )
            return cls(source, _experiment(values, 1, CONFIG_YAML), {})
        schema = int(text) if re.fullmatch("[0-9]{1,9}", text := tags["runner.schema"]) else 0
        if not 1 <= schema <= SCHEMA:
            raise RecordError(
                f"{source.label}: another version of this program recorded it, with the schema "
                f"{shorten(text)}; repeat it with that version."
            )
        digests = _digests(tags.get(RECORD, ""), source.label)
        contents = {name: source.read(name, CONFIG_LIMIT) for name in (CONFIG, CONFIG_YAML)}
        facts = {**tags, **{name: sha256(content) for name, content in contents.items()}}
        for part in ("config", "data"):
            if run_files.part_digest(part, facts) != digests[part]:
                raise RecordError(f"{source.label}: {_edit(part)}.")
        values = untrusted.parse_config(contents[CONFIG], CONFIG)
        try:
            record = cls(source, _experiment(values, schema, CONFIG), digests)
        except RecordError as error:
            raise RecordError(f"{error}{missing_plugins(source)}") from None
        if not _agree(values, source.params):
            record._edits["params"] = _edit("params")
        if source.status != "KILLED":  # which happens to a run that has left all its files, too
            record._verify({"ending": run_files.ending(source.status, source.failure)})
        return record

    @property
    def edits(self) -> tuple[str, ...]:
        """What is said of each edited part, among those that have been read."""
        return tuple(self._edits[part] for part in (*PARTS, "params") if part in self._edits)

    @property
    def is_cleaned(self) -> bool:
        """Whether its weights were removed, of which the digest is left."""
        return CLEANED in self.tags

    def metrics(self) -> run_files.Metrics:
        """Return every value that the run recorded, by name and step."""
        ours = {at: v for at, v in self.source.metrics.items() if at[0].startswith(_OURS)}
        if self._schema < 3:
            ours = {at: v for at, v in ours.items() if not at[0].startswith("baseline/")}
        self._verify({"metrics": run_files.metrics_sha256(ours)})
        return ours

    def recorded_alike(self, metrics: run_files.Metrics) -> run_files.Metrics:
        """Return those of the metrics of today that the version of this record recorded as well.

        Those of plugins count where the record has them.
        """
        if self._schema >= 3:
            theirs, recorded = added("metric"), {name for name, _ in self.source.metrics}
            return {
                at: values
                for at, values in metrics.items()
                if at[0] in recorded or at[0].rpartition("/")[2] not in theirs
            }
        return {at: v for at, v in metrics.items() if _FIRST_METRICS.fullmatch(at[0])}

    def weights(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
        """Return the parameters that the run left, if they are whole and of these shapes."""
        content = self.read_files({WEIGHTS: self.weights_limit(shapes)})[WEIGHTS]
        return untrusted.parse_weights(content, shapes, self.experiment.dtype, WEIGHTS)

    def weights_limit(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Return how many bytes the file of the weights can have, if they fit into memory."""
        limit = untrusted.weights_limit(shapes, np.dtype(self.experiment.dtype).itemsize)
        try:
            check_room(WEIGHTS, f"{len(shapes) // 2:,} layers, as config and model say", limit)
        except DataError as error:
            raise RecordError(str(error)) from None
        return limit

    def model(self) -> RecordedModel:
        """Return what is done with raw rows, or raise `RecordError` if that cannot be read."""
        return RecordedModel.parse(self.read_files({MODEL: TEXT_LIMIT})[MODEL], MODEL)

    def network(self) -> RecordedNetwork:
        """Return the network that the run left, or raise `RecordError`, also if it was edited."""
        model = self.model()
        settings = model.network(self.experiment)
        weights = self.weights(settings.weight_shapes)
        self.require_unedited()
        return RecordedNetwork(model, settings, weights)

    def unshared_network(self) -> RecordedNetwork:
        """Return `network()`, in which members that share their weights are networks of their own.

        It predicts the same, to rounding. Raises `RecordError` where no such network does: one with
        `model.residual` adds its input in the first hidden layer too, if that is as wide.
        """
        found = self.network()
        if not self.experiment.model.shares_weights:
            return found
        model = self.experiment.model.model_copy(update={"share": "none"})
        settings = found.model.network(self.experiment.model_copy(update={"model": model}))
        # A block's layers have other names.
        if not settings.weight_shapes.keys() <= found.weights.keys():
            raise RecordError(
                f"{self.source.label}: its members, which share weights, are no networks of their"
                " own: with model.residual=true these add their input in the first hidden layer,"
                " which is as wide; it takes runs with another first size in"
                " model.hidden_layer_sizes, or with model.residual=false."
            )
        weights = run_files.unshared(found.weights, settings.weight_shapes)
        return RecordedNetwork(found.model, settings, weights)

    def require_unedited(self, so_that: str = "") -> None:
        """Raise `RecordError` if a part that has been read was edited."""
        for edit in self.edits:
            raise RecordError(f"{self.source.label}: {edit}{so_that}.")

    def environment(self) -> object:
        """Return where the run was made, as plain data; None where that cannot be read."""
        try:
            content = self.read_files({run_files.ENVIRONMENT: TEXT_LIMIT})[run_files.ENVIRONMENT]
            return parse_json(content, run_files.ENVIRONMENT)
        except RecordError as error:
            self._edits["environment"] = str(error)
            return None

    def read_files(self, limits: Mapping[str, int]) -> dict[str, bytes]:
        """Return the contents of files by their limits in bytes, and verify their parts."""
        if self.is_cleaned and WEIGHTS in limits:
            raise RecordError(
                f"{self.source.label}: its weights were removed by runner clean; "
                f"runner rerun {self.run_id} brings them back."
            )
        contents = {name: self.source.read(name, limit) for name, limit in limits.items()}
        self._verify({name: sha256(content) for name, content in contents.items()})
        return contents

    def _verify(self, facts: Mapping[str, str]) -> None:
        """Note the parts that cover these facts and do not fit them."""
        for part in self._digests.keys() & PARTS.keys():
            digest = run_files.part_digest(part, {**self.tags, **facts})
            if not facts.keys().isdisjoint(PARTS[part]) and digest != self._digests[part]:
                self._edits[part] = _edit(part)


def ending_in_words(status: str, failure: str | None) -> str:
    """Say how a run ended: ``FINISHED``, or ``FAILED ('the loss is nan')``."""
    return f"{elide(status, 20)} ({shorten(failure)})" if failure else elide(status, 20)


def _require_result(source: Source) -> None:
    """Make sure that a run left all that it should; one that diverged has, like a finished one."""
    tags = source.tags
    kind = tags.get("runner.kind")
    if kind in {"sweep", "group", "rerun"}:
        raise RecordError(f"{source.label}: is a {kind}; name one of its runs.")
    if kind not in {"run", "ensemble", None} or "runner.key" not in tags:
        raise RecordError(f"{source.label}: must be a run of this program, got another tool's.")
    if source.status == "RUNNING":
        raise RecordError(f"{source.label}: is still RUNNING; it has no result yet.")
    # The digests are recorded when all files are.
    if source.status != "FINISHED" and RECORD not in tags and _DIGESTS_OF_BEFORE not in tags:
        reason = shorten(source.failure) if source.failure else "no reason on record"
        raise RecordError(
            f"{source.label}: ended {elide(source.status, 20)} ({reason}) and left no result that"
            " is whole."
        )


def _edit(part: str) -> str:
    return f"{part}: was edited since it was recorded"


def _digests(content: str, label: str) -> dict[str, str]:
    """Read the digests of the parts; no others than those that the digest over all covers."""
    try:
        digests = parse_json(content.encode(errors="replace"), RECORD)
    except RecordError:
        digests = None
    is_whole = isinstance(digests, dict) and digests.keys() == {*PARTS, "all"}
    if not is_whole or digests["all"] != run_files.digest_of_parts(digests):
        raise RecordError(f"{label}: {_edit(RECORD)}.")
    return dict(digests)


def _experiment(values: Mapping[str, Any], schema: int, name: str) -> Experiment:
    kept = {section: value for section, value in values.items() if section not in UNDECISIVE}
    try:
        experiment = Experiment.from_dict(read_recorded(kept, schema))
    except ConfigError as error:
        raise RecordError(f"{name}: {error}") from None
    for key in ("epochs", "steps"):
        if (asked := getattr(experiment.training, key) or 0) > _MOST_STEPS:
            rule = f"at most {_MOST_STEPS:,} in a record"
            raise RecordError(f"{name}: training.{key}: must be {rule}, got {asked:,}.")
    return experiment


def missing_plugins(source: Source) -> str:
    """Name the plugins of a record that are not loaded here, on a line of their own."""
    try:
        content = source.read(run_files.ENVIRONMENT, TEXT_LIMIT)
        recorded = parse_json(content, run_files.ENVIRONMENT)["decisive"]["plugins"]
        names = [str(name) for name in recorded if name not in {p.name for p in plugins()}]
    except (RecordError, KeyError, TypeError):
        return ""
    if not names:
        return ""
    shown = ", ".join(shorten(name) for name in names)
    what, them = ("plugins", "them") if len(names) > 1 else ("plugin", "it")
    verb = "are" if len(names) > 1 else "is"
    return f"\nIts {what} {shown} {verb} missing: install {them}, or name {them} in {VARIABLE}."


def _agree(values: Mapping[str, Any], params: Mapping[str, str]) -> bool:
    """Tell whether the params of a run, if it has any, are its settings."""
    # A store of plain files keeps no blanks at the ends.
    return not params or all(
        name in params and params[name].strip() == value.strip()
        for name, value in params_of(values).items()
    )
