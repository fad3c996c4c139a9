"""The life of one run in MLflow: made RUNNING, fed in batches, and ended in words of our own.

FINISHED comes last of all, when everything else is stored. Always by explicit run id.
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
from runner.tracking.backend import client as library
from runner.tracking.backend.bulk_insert import Noted, write_batch
from runner.tracking.backend.destinations import send_folder
from runner.tracking.backend.liveness import Presence

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from runner.training.data import Dataset
    from runner.training.data.splits import Split

# Often enough to watch a long run in the UI, seldom enough to cost nothing.
FLUSH_EVERY_S = 5.0
# The tag that says why a run did not finish.
FAILURE = "runner.failure"
_NAME_CHARACTERS, _PARAM_CHARACTERS, _TAG_CHARACTERS = 250, 6000, 8000


class RecordedRun:
    """One run as it is being recorded; `Store.start_run` makes it.

    Parameters
    ----------
    client : MlflowClient
        Of the run's store.
    run : mlflow.entities.Run
        As it was created.
    artifacts : str
        The URI that its files go to.
    params : mapping of str to object
        The config; nested mappings are flattened, ``optimizer.learning_rate``.
    place : str
        The store, as error messages name it.
    presence : Presence
        Of this process, which the run counts on.
    flush_every_s : float
        Seconds between two batches.

    Attributes
    ----------
    run_id : str
        MLflow's id.
    """

    def __init__(
        self,
        client: MlflowClient,
        run: Run,
        artifacts: str,
        params: Mapping[str, object],
        place: str,
        presence: Presence,
        flush_every_s: float = FLUSH_EVERY_S,
    ) -> None:
        self.run_id: str = run.info.run_id
        self._client = client
        self._artifacts = artifacts
        self._place = place
        self._presence = presence
        self._params = flattened(params)
        self._metrics: list[Noted] = []
        self._is_empty = not (run.data.params or run.data.metrics)
        self._tags: dict[str, str] = {}
        self._written_tags: dict[str, str] = dict(run.data.tags)
        self._flush_every_s = flush_every_s
        self._next_flush = time.monotonic() + flush_every_s
        self._ended = False
        presence.open_runs.add(self.run_id)

    def log_metrics(
        self, step: int, metrics: Mapping[str, float], at_s: float | None = None
    ) -> None:
        """Note metrics of one step; they reach the store a few seconds later, or at the end.

        Parameters
        ----------
        step : int
            Optimizer steps done.
        metrics : mapping of str to float
            Such as ``train/loss``. NaN is kept; MLflow stores an infinity as the largest double.
        at_s : float or None
            When they were measured, in seconds since 1970; None for now.

        Raises
        ------
        StoreError
            If it was time to write and the store failed. Nothing is lost: `flush` tries again.
        """
        at_ms = int(1000 * (time.time() if at_s is None else at_s))
        self._metrics += [
            (legal_name(name), float(value), at_ms, step) for name, value in metrics.items()
        ]
        if time.monotonic() >= self._next_flush:
            self.flush()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Note tags, to be written with the next batch; those that are there already are not."""
        self._tags |= {
            key: value for key, value in tags.items() if self._written_tags.get(key) != cut(value)
        }

    def flush(self) -> None:
        """Write what was noted, in one batch; the first one carries the params.

        Raises
        ------
        StoreError
            If the store fails; what was noted stays for another try, which MLflow takes as it is
            even where the first one had half succeeded.
        """
        metrics = list(self._metrics)
        tags = {key: cut(value) for key, value in self._tags.items()}
        # A batch that fails may be there by half.
        is_first = self._is_empty and not tags.keys() & self._written_tags.keys()
        self._is_empty = False
        with library.in_words(self._place):
            write_batch(self._client, self.run_id, metrics, self._params, tags, is_first=is_first)
        del self._metrics[: len(metrics)]
        self._params = {}
        self._written_tags |= tags
        self._tags = {}
        self._next_flush = time.monotonic() + self._flush_every_s

    def log_datasets(self, dataset: Dataset, split: Split) -> None:
        """Record what the run trains, validates and tests on, by digest.

        Raises
        ------
        StoreError
            If the store fails.
        """
        from mlflow.exceptions import MlflowException

        from runner.tracking.datasets import dataset_inputs

        inputs = dataset_inputs(dataset, split)
        with library.in_words(self._place):
            try:
                self._client.log_inputs(self.run_id, datasets=inputs)
            except MlflowException as error:
                # MLflow looks whether it has a dataset, and then adds it: another process may
                # have added the same one between the two. Now it finds it.
                if "unique" not in str(error).lower():
                    raise
                self._client.log_inputs(self.run_id, datasets=inputs)

    def log_folder(self, folder: Path, under: str | None = None) -> None:
        """Copy the files of a folder to the run's artifacts.

        Parameters
        ----------
        folder : Path
            All of it is copied.
        under : str or None
            A folder among the artifacts, such as ``figures``; None for the top.

        Raises
        ------
        StoreError
            If the store or the disk fails.
        """
        with library.in_words(self._place):
            send_folder(self._client, folder, self._artifacts, under)

    def finish(self, ended_s: float | None = None) -> None:
        """Write the rest and mark the run FINISHED: the last thing of all.

        Parameters
        ----------
        ended_s : float or None
            When what it records ended, in seconds since 1970; None for now.

        Raises
        ------
        StoreError
            If the store fails; the run is then not FINISHED.
        """
        self._end("FINISHED", ended_s)

    def fail(self, reason: str, ended_s: float | None = None) -> None:
        """Write the rest and mark the run FAILED, with the reason as the tag ``runner.failure``.

        Raises
        ------
        StoreError
            If the store fails.
        """
        self.set_tags({FAILURE: reason})
        self._end("FAILED", ended_s)

    def kill(self, reason: str = "interrupted") -> None:
        """Write the rest and mark the run KILLED, with the reason as the tag ``runner.failure``.

        Raises
        ------
        StoreError
            If the store fails.
        """
        self.set_tags({FAILURE: reason})
        self._end("KILLED")

    def _end(self, status: str, ended_s: float | None = None) -> None:
        """End the run; one that has ended stays as it is, whatever interrupts what follows."""
        if self._ended:
            return
        self.flush()
        with held(), library.in_words(self._place):
            ended_ms = None if ended_s is None else int(1000 * ended_s)
            self._client.set_terminated(self.run_id, status, ended_ms)
            self._ended = True
        self._presence.open_runs.discard(self.run_id)


def close_unclosed(client: MlflowClient, run_id: str) -> None:
    """Mark a run KILLED whose process ended without doing it."""
    client.set_tag(run_id, FAILURE, "the process ended without closing the run")
    client.set_terminated(run_id, "KILLED")


def flattened(config: Mapping[str, object]) -> dict[str, str]:
    """Flatten a config to MLflow's params.

    Parameters
    ----------
    config : mapping of str to object
        Plain data, nested.

    Returns
    -------
    dict of str to str
        Dotted names; values as JSON writes them, text without its quotes. A value too long for
        MLflow gives way to its digest, and to the place where all of it is.

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
    """Return a name that MLflow takes; one that had to change ends in a digest of the old one.

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
    """Shorten a tag to what MLflow takes, and show that something is missing."""
    return text if len(text) <= _TAG_CHARACTERS else f"{text[: _TAG_CHARACTERS - 4]} ..."
