"""Jobs that repeat runs on record, and how what they leave is judged.

Works where the work is done, in this process or in a worker: an original is read just before it is
needed. It must not know how anything is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from runner.jobs.rerun.comparison import Comparison, Verdict, compare
from runner.jobs.rerun.environment_diff import EnvironmentDifference, environment_differences
from runner.system.environment import environment
from runner.system.errors import RecordError
from runner.tracking.records import (
    Original,
    RecordedModel,
    end_in_words,
    find_source,
    is_possible_end,
)
from runner.training.run_files import MODEL, Metrics, metrics_of
from runner.training.train import Result
from softnet import parameter_shapes

if TYPE_CHECKING:
    from runner.config import Experiment
    from runner.training.prepare import Prepared


class HasDigests(Protocol):
    """Whatever says which rows are trained on: a planned job, a loaded reference."""

    @property
    def data_digest(self) -> str:
        """Of all rows."""
        ...

    @property
    def split_digest(self) -> str:
        """Of their split."""
        ...


@dataclass(frozen=True)
class Reference:
    """Which record a job repeats: plain data, so that it can go to a worker.

    Parameters
    ----------
    target : str
        Id of a run, or the path of an exported folder.
    uri : str or None
        The store of the run; None for a folder, or for the usual store.
    compares : bool
        Whether the result has to be the record's; else settings were changed, and the record need
        not be loaded.
    """

    target: str
    uri: str | None
    compares: bool = True


@dataclass(frozen=True)
class LoadedReference:
    """What a recorded run left, in memory while the job that repeats it is trained."""

    record: Original
    experiment: Experiment
    data_digest: str
    split_digest: str
    metrics: Metrics
    weights: Mapping[str, NDArray[Any]]
    model: RecordedModel | None
    findings: tuple[str, ...]

    def compare(self, result: Result, prepared: Prepared) -> Comparison:
        """Compare the result of a job, and what its data became, with the record."""
        differences, more = differences_of(self.record, self)
        causes = [each.what for each in differences if each.decides]
        findings = [*self.findings, *more, *_split_findings(self.record, self, differences)]
        model = RecordedModel(
            self.experiment.model.activation,
            tuple(prepared.dataset.class_names),
            prepared.preprocessing,
        )
        if not causes and not findings and model != self.model:
            findings.append(f"{MODEL}: is not what the same data and settings give")
        comparison = compare(
            (self.metrics, self.weights),
            (metrics_of(result), result.weights),
            causes=causes,
            findings=findings,
            same_data=all(then == now for _, then, now in _digests(self.record, self)),
        )
        return _with_end(comparison, self.record, result)


def load_reference(
    reference: Reference,
    experiment: Experiment,
    data_digest: str,
    split_digest: str,
    layer_sizes: tuple[int, ...],
) -> LoadedReference:
    """Read what a recorded run left.

    Parameters
    ----------
    reference : Reference
        The record.
    experiment : Experiment
        What is run now.
    data_digest, split_digest : str
        Of the rows that it is run on.
    layer_sizes : tuple of int
        The sizes of its layers.

    Raises
    ------
    RecordError
        If nothing can be compared with it.
    """
    record = Original.read(find_source(reference.target, reference.uri))
    return _load(record, experiment, data_digest, split_digest, layer_sizes)


def _load(
    record: Original,
    experiment: Experiment,
    data_digest: str,
    split_digest: str,
    layer_sizes: tuple[int, ...],
) -> LoadedReference:
    model: RecordedModel | None = None
    try:
        model, findings = record.model()
    except RecordError as error:
        findings = [str(error)]
    if model is not None and not findings:
        layer_sizes = model.layer_sizes(record.experiment.model.hidden_layer_sizes)
    # An edited model says nothing of the weights' shapes.
    weights, more = record.weights(parameter_shapes(layer_sizes))
    metrics, edited = record.metrics()
    found = (*record.findings, *record.source.findings, *edited, *findings, *more)
    return LoadedReference(
        record, experiment, data_digest, split_digest, metrics, weights, model, found
    )


def links_to(original_id: str, experiment_id: str) -> dict[str, str]:
    """Return the tags of a rerun: its original, for programs and as a link for MLflow's pages."""
    page = f"#/experiments/{experiment_id}/runs/{original_id}"
    return {
        "runner.rerun_of": original_id,
        "mlflow.note.content": f"Rerun of [{original_id}]({page})",
    }


def differences_of(
    original: Original, job: HasDigests
) -> tuple[list[EnvironmentDifference], list[str]]:
    """Return what differs between where an original ran and here; what is wrong with that."""
    recorded, findings = original.environment()
    return environment_differences(recorded, environment(), _digests(original, job)), findings


def _digests(original: Original, job: HasDigests) -> list[tuple[str, str, str]]:
    """Return how the rows that were trained on are known: what, then and now."""
    tags = original.source.tags
    pairs = [
        ("data digest", tags.get("runner.data_digest", ""), job.data_digest),
        ("split digest", tags.get("runner.split_digest", ""), job.split_digest),
    ]
    # The beginnings are enough for a table, unless they are all that is alike.
    return [
        (what, then[:16], now[:16]) if then == now or then[:16] != now[:16] else (what, then, now)
        for what, then, now in pairs
    ]


def _split_findings(
    original: Original, job: HasDigests, differences: Sequence[EnvironmentDifference]
) -> list[str]:
    """Find a split on record that the same data and settings do not give."""
    tags = original.source.tags
    if tags.get("runner.data_digest") != job.data_digest:
        return []  # other data are split otherwise
    if tags.get("runner.split_digest", "") == job.split_digest:
        return []
    finding = "runner.split_digest: was edited after the run"
    if all(each.what.endswith(" digest") for each in differences):
        return [finding]
    return [f"{finding}, or what differs here splits the rows otherwise"]


def _with_end(comparison: Comparison, original: Original, result: Result) -> Comparison:
    """Let a run of the same numbers that is not on record as ended like this be DIFFERENT."""
    source = original.source
    if source.status == "KILLED" or comparison.metric is not None or not is_possible_end(source):
        return comparison  # was cut short; may have ended otherwise; is found already
    then = end_in_words(source.status, source.failure)
    now = end_in_words("FAILED" if result.failure else "FINISHED", result.failure)
    if then == now:
        return comparison
    finding = f"the end was changed after the run: it is on record as {then}, and is {now}"
    findings = (*comparison.findings, finding)
    return replace(comparison, verdict=Verdict.DIFFERENT, findings=findings)
