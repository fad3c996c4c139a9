"""Compare what a job leaves with the record that it repeats, in the worker that has run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from runner.jobs.rerun.comparison import Comparison, Verdict, compare
from runner.jobs.rerun.environment_diff import EnvironmentDifference, environment_differences
from runner.system.errors import RecordError
from runner.tracking import StoreAddress, store_at
from runner.tracking.notes import NOTE
from runner.tracking.records import (
    ExportedRun,
    Record,
    RecordedModel,
    StoredRun,
    ending_in_words,
)
from runner.tracking.records.mlflow_record import stored_run
from runner.training.environment import environment
from runner.training.run_files import MODEL, Metrics, metrics_of
from runner.training.train import Result
from softnet import NetworkSettings

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.training.prepare import Prepared


@dataclass(frozen=True)
class Reference:
    """Which record a job repeats, as plain data for a worker.

    `target` is the id of a run in the store at `place`, or the path of an exported folder. Only if
    the reference `compares` must the result be the record's; else settings were changed. `origin`
    names the store of an original that is in another one than its rerun.
    """

    target: str
    place: StoreAddress | None
    compares: bool = True
    origin: str = ""


@dataclass(frozen=True)
class LoadedReference:
    """What a recorded run left, kept in memory while the job that repeats it is trained."""

    record: Record
    experiment: Experiment
    metrics: Metrics
    weights: Mapping[str, NDArray[Any]] | None
    model: RecordedModel | None
    findings: tuple[str, ...]

    def compare(self, result: Result, prepared: Prepared) -> Comparison:
        """Compare the result of a job, and what its data became, with the record."""
        dataset, split = prepared.dataset, prepared.split
        differences = differences_of(self.record, dataset.digest, split.digest)
        causes = [difference.what for difference in differences if difference.decides]
        findings = [*self.findings, *self.record.edits]
        activation = self.experiment.model.activation
        model = RecordedModel(activation, prepared.target, prepared.preprocessing)
        if not causes and not findings and model != self.model:
            findings.append(f"{MODEL}: is not what the same data and settings give")
        weights = self.weights
        if weights is None:  # they were removed
            weights = result.weights
            if result.weights_sha256 != self.record.tags.get("runner.weights_sha256"):
                findings.append("weights: have another digest than those that were removed")
        comparison = compare(
            (self.metrics, weights),
            (self.record.recorded_alike(metrics_of(result)), result.weights),
            causes=causes,
            findings=findings,
            same_data={"data digest", "split digest"}.isdisjoint(causes),
        )
        then = ending_in_words(self.record.status, self.record.failure)
        now = ending_in_words("FAILED" if result.failure else "FINISHED", result.failure)
        is_same_end = then == now or self.record.status == "KILLED"  # which cut it short
        if comparison.verdict is not Verdict.IDENTICAL or is_same_end:
            return comparison
        finding = f"ending: is {then} on record, and {now} here"
        return replace(comparison, verdict=Verdict.DIFFERENT, findings=(finding,))


def load_reference(
    reference: Reference, experiment: Experiment, network: NetworkSettings
) -> LoadedReference:
    """Read what a recorded run left, to be compared with a job of these settings and network.

    A `RecordError` says why nothing can be compared with it.
    """
    record = Record.read(_source_of(reference))
    model: RecordedModel | None = None
    findings: tuple[str, ...] = ()
    try:
        model = record.model()
    except RecordError as error:
        findings = (str(error),)
    # An edited model says nothing of the weights' shapes.
    if model is not None and not record.edits:
        network = model.network(record.experiment)
    weights = None if record.is_cleaned else record.weights(network.weight_shapes)
    metrics = record.metrics()
    return LoadedReference(record, experiment, metrics, weights, model, findings)


def _source_of(reference: Reference) -> StoredRun | ExportedRun:
    if reference.place is None:
        return ExportedRun(Path(reference.target))
    return stored_run(store_at(reference.place), reference.target)


def links_to(original_id: str, experiment_id: str, origin: str = "") -> dict[str, str]:
    """Return the tags that name a rerun's original, to programs and as a link on MLflow's pages.

    Of an original in another store, `origin`, there is no link.
    """
    link = f"[{original_id}](#/experiments/{experiment_id}/runs/{original_id})"
    if origin:
        link = f"{original_id} of `{origin}`"
    return {"runner.rerun_of": original_id, NOTE: f"Rerun of {link}"}


def differences_of(
    record: Record, data_digest: str, split_digest: str
) -> list[EnvironmentDifference]:
    """Return what differs between where a run was made and here, its data included."""
    digests = [
        (f"{what} digest", record.tags.get(f"runner.{what}_digest", ""), here)
        for what, here in (("data", data_digest), ("split", split_digest))
    ]
    return environment_differences(record.environment(), environment(), digests)
