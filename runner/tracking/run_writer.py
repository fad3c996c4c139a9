"""The life of one run in MLflow: RUNNING, written in batches, and ended explicitly.

FINISHED comes last of all, when everything else is stored.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.plain import UNDECISIVE, flatten, to_plain
from runner.system.errors import StoreLost
from runner.system.signals import deferred_signals
from runner.tracking.backend.artifacts import send_folder
from runner.tracking.backend.client import store_errors
from runner.tracking.backend.liveness import Presence
from runner.tracking.backend.rows import (
    Backend,
    DatasetPart,
    LoggedMetric,
    ModelFacts,
    RunChange,
)
from runner.training.outcome import PARTS, part_of

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.training.data import Dataset
    from runner.training.data.splits import Split
    from runner.training.prepare import Prepared

# Often enough to watch a long run in the UI, rarely enough to cost nothing.
FLUSH_EVERY_S = 5.0
# The tag that says why a run did not finish, and what it says of one that others have closed.
FAILURE, UNCLOSED = "runner.failure", "the process ended without closing the run"
# What MLflow accepts.
_NAME_CHARACTERS, _PARAM_CHARACTERS, _TAG_CHARACTERS = 250, 6000, 8000
_DATASET_NAME_CHARACTERS, _DIGEST_CHARACTERS, _SCHEMA_CHARACTERS = 500, 32, 1_000_000


class RunWriter:
    """Writes one run; `Store.start_run` and `Store.reopen_run` make it.

    What is logged waits for the next batch. A run that is not shown has one batch alone, with its
    end: it is in the store whole or not at all.
    """

    def __init__(
        self,
        backend: Backend,
        change: RunChange,
        presence: Presence,
        written_tags: Mapping[str, str],
        flush_every_s: float = FLUSH_EVERY_S,
    ) -> None:
        self.run_id: str = change.run_id
        self.backend = backend
        self.change = change
        self.presence = presence
        self._written_tags = dict(written_tags)
        self._flush_every_s = flush_every_s
        self._next_flush = time.monotonic() + flush_every_s
        self._ended = False
        if self.is_shown:
            presence.open_runs.add(self.run_id)  # or it would be closed as abandoned

    @property
    def is_shown(self) -> bool:
        """Whether the store has it."""
        return self.change.new is None

    @property
    def n_bytes(self) -> int:
        """About how much of memory is waiting to be written."""
        files = sum(map(len, self.change.files.values()))
        return files + 200 * len(self.change.metrics)

    def log_metrics(
        self, step: int, metrics: Mapping[str, float], at_s: float | None = None
    ) -> None:
        """Log metrics of one step; they reach the store a few seconds later, or at the end.

        NaN is kept; MLflow stores an infinity as the largest double. They were measured now, or at
        `at_s` in seconds since 1970.
        """
        self.change.metrics += logged(step, metrics, time.time() if at_s is None else at_s)
        if self.is_shown and time.monotonic() >= self._next_flush:
            self.flush()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, which are written with the next batch unless they are stored already."""
        for key, value in tags.items():
            if self._written_tags.get(key) != (text := cut(value)):
                self.change.tags[key] = text

    def log_datasets(self, dataset: Dataset, split: Split) -> None:
        """Record the digests of the rows that the run trains, validates and tests on."""
        self.change.datasets = dataset_parts(dataset, split)

    def log_files(self, files: Mapping[str, bytes]) -> None:
        """Give the run artifacts, which are written with the next batch, before all else."""
        self.change.files |= files

    def log_folder(self, folder: Path, under: str | None = None) -> None:
        """Copy the files of a folder to the run's artifacts, or to a folder `under` them."""
        if self.backend.keeps:
            paths = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
            self.log_files({str(Path(under or "", p)): f.read_bytes() for p, f in paths.items()})
            self.flush()
            return
        with store_errors(self.backend.uri):
            send_folder(self.backend, folder, self.change.artifact_uri, under)

    def flush(self) -> None:
        """Write what was logged; if the store fails, all of it is kept for the next try.

        A server that does not answer now is no error: the end of the run is kept on disk.
        """
        with suppress(StoreLost):
            write_together([self])

    def set_end(self, failure: str | None = None, ended_s: float | None = None) -> None:
        """Have the run end with the next batch: FINISHED, or FAILED with a reason.

        It ends now, or at `ended_s` in seconds since 1970.
        """
        self._set_end("FAILED" if failure else "FINISHED", failure, ended_s)

    def finish(self, ended_s: float | None = None) -> None:
        """Write the rest and mark the run FINISHED, now or as of `ended_s` since 1970."""
        self._end("FINISHED", None, ended_s)

    def fail(self, reason: str, ended_s: float | None = None) -> None:
        """Write the rest and mark the run FAILED, with the reason in the tag ``runner.failure``."""
        self._end("FAILED", reason, ended_s)

    def kill(self, reason: str = "interrupted") -> None:
        """Write the rest and mark the run KILLED, with the reason in the tag ``runner.failure``.

        Of a run that is not shown nothing is written.
        """
        if self.is_shown:
            self._end("KILLED", reason)

    def _end(self, status: str, failure: str | None, ended_s: float | None = None) -> None:
        """End the run; one that has ended stays as it is, whatever interrupts what follows."""
        if not self._ended:
            self._set_end(status, failure, ended_s)
            self.flush()

    def _set_end(self, status: str, failure: str | None, ended_s: float | None) -> None:
        if failure is not None:
            self.set_tags({FAILURE: failure})
        self.change.status = status
        self.change.ended_ms = int(1000 * (time.time() if ended_s is None else ended_s))

    def take_note(self) -> None:
        """Go on from a batch that was written."""
        self.run_id = self.change.run_id  # a server chooses it
        written, self.change = self.change, RunChange(self.run_id, self.change.artifact_uri)
        self._written_tags |= written.tags
        self._next_flush = time.monotonic() + self._flush_every_s
        if written.status is None:
            self.presence.open_runs.add(self.run_id)
        else:
            self._ended = True
            self.presence.open_runs.discard(self.run_id)


def logged(step: int, metrics: Mapping[str, float], at_s: float) -> list[LoggedMetric]:
    """Return metrics of one step as MLflow takes them, measured `at_s` seconds since 1970."""
    at_ms = int(1000 * at_s)
    return [LoggedMetric(legal_name(k), float(v), at_ms, step) for k, v in metrics.items()]


def write_together(runs: Sequence[RunWriter]) -> None:
    """Write what waits of some runs of one store; a database takes all of it or nothing."""
    if runs:
        backend, new = runs[0].backend, [run.change.new for run in runs if run.change.new]
        presence = runs[0].presence
        with deferred_signals():  # what is in the store is known to be
            with store_errors(backend.uri):
                # A kill may leave files of runs that are not in the store: the next start looks.
                presence.note("".join(f"{run.experiment_id} {run.run_id}\n" for run in new))
            backend.write([run.change for run in runs])
            for run in runs:
                run.take_note()


def close_unclosed(backend: Backend, run_ids: Iterable[str]) -> None:
    """Mark runs KILLED whose process ended without doing so, or that others have replaced."""
    tags, now_ms = {FAILURE: UNCLOSED}, int(1000 * time.time())
    changes = [RunChange(i, tags=tags, status="KILLED", ended_ms=now_ms) for i in run_ids]
    if changes:
        backend.write(changes)


def close_again(backend: Backend, run_ids: Iterable[str]) -> None:
    """Mark runs KILLED again that this process has ended after others had closed them.

    Who closes a run tags it first. So where this process, after it has ended a run, finds no tag,
    the other is yet to mark it KILLED: in every order, what others have closed stays so.
    """
    runs = [run for run_id in run_ids if (run := backend.run(run_id)) is not None]
    close_unclosed(backend, [run.run_id for run in runs if run.tags.get(FAILURE) == UNCLOSED])


def model_facts(
    experiment: Experiment, metrics: Sequence[LoggedMetric], prepared: Prepared | None
) -> ModelFacts:
    """Describe the model of a run, which has these metrics in the store.

    They are of the `prepared` data, or of those of several splits.
    """
    described = dataset_parts(prepared.dataset, prepared.split) if prepared else ()
    parts = {part.context: part for part in described}
    of = [parts.get(part_of(metric.name)) for metric in metrics]
    return ModelFacts(
        model_name(experiment.name),
        tuple(params_of(to_plain(experiment)).items()),
        [(metric, p and p.name, p and p.digest) for metric, p in zip(metrics, of, strict=True)],
    )


def model_name(experiment: str) -> str:
    """Return what the models of an experiment are called, in letters that MLflow's URIs take.

    Examples
    --------
    >>> model_name("own"), model_name("rate: 0.1/0.2"), model_name("ü")
    ('own', 'rate-0-1-0-2', 'model')
    """
    return re.sub(r"[^\w]+", "-", experiment, flags=re.ASCII).strip("-")[:60] or "model"


def dataset_parts(dataset: Dataset, split: Split) -> Sequence[DatasetPart]:
    """Describe each part of a split that has rows, with the part's name as its context.

    MLflow's own dataset classes make a DataFrame of everything first, which costs more than
    recording the whole run.
    """
    key = (dataset.name, dataset.source, dataset.digest, split.digest)
    if key not in _parts:  # jobs of a stack share them
        _parts.clear()
        _parts[key] = _dataset_parts(dataset, split)
    return _parts[key]


_parts: dict[tuple[str, ...], Sequence[DatasetPart]] = {}


def _dataset_parts(dataset: Dataset, split: Split) -> list[DatasetPart]:
    source_type, source = "code", json.dumps({"tags": {"mlflow.source.name": dataset.source}})
    if dataset.source.startswith("/"):
        source_type, source = "local", json.dumps({"uri": dataset.source})
    name, schema = dataset.name[:_DATASET_NAME_CHARACTERS], _schema(dataset)
    parts = []
    for context in PARTS:
        n_rows = len(getattr(split, context))
        n_columns = dataset.X.shape[1] + len(dataset.targets)
        if n_rows == 0:
            continue
        # MLflow tells datasets apart by name and digest alone.
        content = f"{dataset.digest}\n{split.digest}\n{context}"
        digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        profile = json.dumps({"num_rows": n_rows, "num_columns": n_columns})
        parts.append(DatasetPart(name, digest, source_type, source, schema, profile, context))
    return parts


def _schema(dataset: Dataset) -> str | None:
    kinds = dict.fromkeys(dataset.categories, "string")
    of_target = {"f": "double", "i": "long" if dataset.y.ndim == 2 else "string"}
    kinds |= dict.fromkeys(dataset.targets, of_target[dataset.y.dtype.kind])
    columns = [
        {"name": name, "type": kinds.get(name, "double"), "required": True}
        for name in (*dataset.feature_names, *dataset.targets)
    ]
    text = json.dumps({"mlflow_colspec": columns})
    return text if len(text) <= _SCHEMA_CHARACTERS else None


def params_of(config: Mapping[str, object]) -> dict[str, str]:
    """Return a config as MLflow's params: dotted names, values as JSON, text without its quotes.

    Where a run is recorded and how others are run beside it decide no result, and are no params.
    A value too long for MLflow is replaced by its digest and a pointer to config.yaml.

    Examples
    --------
    >>> params_of({"seed": 0, "model": {"hidden_layer_sizes": [8, 4]}, "sweep": {"name": None}})
    {'seed': '0', 'model.hidden_layer_sizes': '[8, 4]'}
    """
    decisive = {key: value for key, value in config.items() if key not in UNDECISIVE}
    return {legal_name(key): _param(value) for key, value in flatten(decisive).items()}


def _param(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > _PARAM_CHARACTERS:
        digest = hashlib.sha256(text.encode()).hexdigest()
        return f"sha256 {digest} ({len(text):,} characters, see config.yaml)"
    return text


@cache
def legal_name(name: str) -> str:
    """Return a name that MLflow accepts; a changed one ends in a digest of the old one.

    Examples
    --------
    >>> legal_name("val/loss")
    'val/loss'
    >>> legal_name("f1[macro]")
    'f1_macro_ 7de88a'
    """
    # To MLflow a name is a path too: "a//b", "../a" and "/a" are refused.
    fits = re.fullmatch(rf"[\w. :/-]{{1,{_NAME_CHARACTERS}}}", name, re.ASCII)
    if fits and posixpath.normpath(name) == name and not name.startswith((".", "/")):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    plain = re.sub(r"[^\w :-]", "_", name, flags=re.ASCII)
    return f"{plain[: _NAME_CHARACTERS - 7]} {digest}"


def cut(text: str) -> str:
    """Shorten a tag to what MLflow accepts, and show that something is missing."""
    return text if len(text) <= _TAG_CHARACTERS else f"{text[: _TAG_CHARACTERS - 4]} ..."
