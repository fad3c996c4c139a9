"""The life of one run in MLflow: RUNNING, written in batches, and ended explicitly.

FINISHED comes last of all, when everything else is stored.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.system.signals import held
from runner.tracking.backend.artifacts import send_folder
from runner.tracking.backend.bulk_insert import LoggedMetric, write_batch
from runner.tracking.backend.client import store_errors
from runner.tracking.backend.liveness import Presence

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

    from runner.training.data import Dataset
    from runner.training.data.splits import Split

# Often enough to watch a long run in the UI, rarely enough to cost nothing.
FLUSH_EVERY_S = 5.0
# The tag that says why a run did not finish.
FAILURE = "runner.failure"
# What MLflow accepts.
_NAME_CHARACTERS, _PARAM_CHARACTERS, _TAG_CHARACTERS = 250, 6000, 8000
_DATASET_NAME_CHARACTERS, _DIGEST_CHARACTERS, _SCHEMA_CHARACTERS = 500, 32, 1_000_000


class RecordedRun:
    """One run as it is being recorded; `Store.start_run` and `Store.reopen_run` make it."""

    def __init__(
        self,
        client: MlflowClient,
        run: Run,
        artifacts: str,
        params: Mapping[str, object],
        store_uri: str,
        presence: Presence,
        flush_every_s: float = FLUSH_EVERY_S,
    ) -> None:
        self.run_id: str = run.info.run_id
        self._client = client
        self._artifacts = artifacts
        self._store_uri = store_uri
        self._presence = presence
        self._params = flattened(params)
        self._metrics: list[LoggedMetric] = []
        self._is_empty = not (run.data.params or run.data.metrics)
        self._tags: dict[str, str] = {}
        self._written_tags: dict[str, str] = dict(run.data.tags)
        self._flush_every_s = flush_every_s
        self._next_flush = time.monotonic() + flush_every_s
        self._ended = False
        presence.open_runs.add(self.run_id)  # or it would be closed as abandoned

    def log_metrics(
        self, step: int, metrics: Mapping[str, float], at_s: float | None = None
    ) -> None:
        """Log metrics of one step; they reach the store a few seconds later, or at the end.

        NaN is kept; MLflow stores an infinity as the largest double. They were measured now, or at
        `at_s` in seconds since 1970.
        """
        at_ms = int(1000 * (time.time() if at_s is None else at_s))
        self._metrics += [
            (legal_name(name), float(value), at_ms, step) for name, value in metrics.items()
        ]
        if time.monotonic() >= self._next_flush:
            self.flush()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, which are written with the next batch unless they are stored already."""
        self._tags |= {
            key: value for key, value in tags.items() if self._written_tags.get(key) != cut(value)
        }

    def flush(self) -> None:
        """Write what was logged in one batch; the first one carries the params.

        If the store fails, all of it is kept for the next try, which MLflow accepts even where the
        first one had half succeeded.
        """
        metrics = list(self._metrics)
        tags = {key: cut(value) for key, value in self._tags.items()}
        # A batch that failed may be half written, so no later one is the first.
        is_first = self._is_empty and not tags.keys() & self._written_tags.keys()
        self._is_empty = False
        with store_errors(self._store_uri):
            write_batch(self._client, self.run_id, metrics, self._params, tags, is_first=is_first)
        del self._metrics[: len(metrics)]
        self._params = {}
        self._written_tags |= tags
        self._tags = {}
        self._next_flush = time.monotonic() + self._flush_every_s

    def log_datasets(self, dataset: Dataset, split: Split) -> None:
        """Record the digests of the rows that the run trains, validates and tests on."""
        from mlflow.exceptions import MlflowException

        inputs = dataset_inputs(dataset, split)
        with store_errors(self._store_uri):
            try:
                self._client.log_inputs(self.run_id, datasets=inputs)
            except MlflowException as error:
                # MLflow looks for a dataset, then adds it; another process may add the same one in
                # between. The second time MLflow finds it.
                if "unique" not in str(error).lower():
                    raise
                self._client.log_inputs(self.run_id, datasets=inputs)

    def log_folder(self, folder: Path, under: str | None = None) -> None:
        """Copy the files of a folder to the run's artifacts, or to a folder `under` them."""
        with store_errors(self._store_uri):
            send_folder(self._client, folder, self._artifacts, under)

    def finish(self, ended_s: float | None = None) -> None:
        """Write the rest and mark the run FINISHED, now or as of `ended_s` since 1970."""
        self._end("FINISHED", ended_s)

    def fail(self, reason: str, ended_s: float | None = None) -> None:
        """Write the rest and mark the run FAILED, with the reason in the tag ``runner.failure``."""
        self.set_tags({FAILURE: reason})
        self._end("FAILED", ended_s)

    def kill(self, reason: str = "interrupted") -> None:
        """Write the rest and mark the run KILLED, with the reason in the tag ``runner.failure``."""
        self.set_tags({FAILURE: reason})
        self._end("KILLED")

    def _end(self, status: str, ended_s: float | None = None) -> None:
        """End the run; one that has ended stays as it is, whatever interrupts what follows."""
        if self._ended:
            return
        self.flush()
        with held(), store_errors(self._store_uri):
            ended_ms = None if ended_s is None else int(1000 * ended_s)
            self._client.set_terminated(self.run_id, status, ended_ms)
            self._ended = True
        self._presence.open_runs.discard(self.run_id)


def close_unclosed(client: MlflowClient, run_id: str) -> None:
    """Mark a run KILLED whose process ended without doing so."""
    client.set_tag(run_id, FAILURE, "the process ended without closing the run")
    client.set_terminated(run_id, "KILLED")


def dataset_inputs(dataset: Dataset, split: Split) -> list[DatasetInput]:
    """Describe each part of a split that has rows, with the part's name as its context.

    MLflow's own dataset classes make a DataFrame of everything first, which costs more than
    recording the whole run.
    """
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    source_type, source = "code", json.dumps({"tags": {"mlflow.source.name": dataset.source}})
    if dataset.source.startswith("/"):
        source_type, source = "local", json.dumps({"uri": dataset.source})
    name, schema = dataset.name[:_DATASET_NAME_CHARACTERS], _schema(dataset)
    inputs = []
    for context in ("train", "val", "test"):
        n_rows = len(getattr(split, context))
        if n_rows == 0:
            continue
        # MLflow tells datasets apart by name and digest alone.
        parts = f"{dataset.digest}\n{split.digest}\n{context}"
        digest = hashlib.sha256(parts.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        profile = json.dumps({"num_rows": n_rows, "num_columns": dataset.X.shape[1] + 1})
        described = MlflowDataset(name, digest, source_type, source, schema, profile)
        inputs.append(DatasetInput(described, [InputTag("mlflow.data.context", context)]))
    return inputs


def _schema(dataset: Dataset) -> str | None:
    kinds = dict.fromkeys(dataset.categories, "string")
    columns = [
        {"name": name, "type": kinds.get(name, "double"), "required": True}
        for name in dataset.feature_names
    ]
    text = json.dumps({"mlflow_colspec": columns})
    return text if len(text) <= _SCHEMA_CHARACTERS else None


def flattened(config: Mapping[str, object]) -> dict[str, str]:
    """Flatten a config to MLflow's params: dotted names, values as JSON, text without its quotes.

    A value too long for MLflow is replaced by its digest and a pointer to config.yaml.

    Examples
    --------
    >>> flattened({"seed": 0, "model": {"hidden_layer_sizes": [8, 4]}, "uri": None})
    {'seed': '0', 'model.hidden_layer_sizes': '[8, 4]', 'uri': 'null'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= {legal_name(f"{key}.{name}"): text for name, text in flattened(value).items()}
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text) > _PARAM_CHARACTERS:
                digest = hashlib.sha256(text.encode()).hexdigest()
                text = f"sha256 {digest} ({len(text):,} characters, see config.yaml)"
            flat[legal_name(key)] = text
    return flat


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
