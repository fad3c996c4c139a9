"""The files that a run leaves, and the digests by which a later edit of its record is noticed.

Whoever records, exports or repeats a run uses the names in here.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config.plain import to_json, to_yaml
from runner.training.environment import environment
from runner.training.outcome import stored
from runner.training.tasks import TASKS
from softnet import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.config.schema import Experiment
    from runner.training.prepare import Prepared, Trained
    from runner.training.train import Result

# What is run again is the JSON; the YAML beside it says the same to people, and to Hydra.
CONFIG, CONFIG_YAML = "config.json", "config.yaml"
ENVIRONMENT, MODEL, WEIGHTS = "environment.json", "model.json", "weights.npz"
# What a run alone predicts for rows that it was not trained on; no part of its record.
PREDICTIONS = "predictions.parquet"
# What the networks of several splits say of the rows that test them, on the run of a sweep.
OUT_OF_FOLD = "out_of_fold.parquet"
# The tag that holds the digest of each part of a record and one over all of them, as JSON.
RECORD = "runner.record"
# The tag of a run whose weights were removed.
CLEANED = "runner.cleaned"
# What the digest of each part covers: files by their own digests, tags by their values.
PARTS = {
    "config": (CONFIG, CONFIG_YAML, "runner.schema", "runner.key"),
    "data": ("runner.data_digest", "runner.split_digest"),
    "metrics": ("metrics",),
    "weights": (WEIGHTS, "runner.weights_sha256"),
    "model": (MODEL,),
    "environment": (ENVIRONMENT, "runner.environment", "runner.code"),
    "ending": ("ending",),
}

# Values by metric and step; more than one where a record holds different ones.
Metrics = Mapping[tuple[str, int], tuple[float, ...]]


def run_files(
    experiment: Experiment, prepared: Prepared, weights: Mapping[str, NDArray[Any]]
) -> dict[str, bytes]:
    """Return the content of the files of a run by their names."""
    return {
        CONFIG: to_json(experiment).encode(),
        CONFIG_YAML: to_yaml(experiment).encode(),
        ENVIRONMENT: _environment(),
        MODEL: _model_file(prepared, experiment.model.activation),
        WEIGHTS: archive(weights),
    }


_last_model: list[tuple[Prepared, str, bytes]] = []


def _model_file(prepared: Prepared, activation: str) -> bytes:
    """Return the content of `MODEL`, which the runs of a stack share."""
    for known, same, content in _last_model:
        if known is prepared and same == activation:
            return content
    content = f"{json.dumps(model_settings(prepared, activation), indent=1)}\n".encode()
    _last_model[:] = [(prepared, activation, content)]
    return content


def prediction_table(
    prepared: Prepared,
    predictions: Mapping[str, NDArray[Any]],
    threshold: float = 0.5,
    rows: Mapping[str, NDArray[np.intp]] = MappingProxyType({}),
) -> dict[str, NDArray[Any]]:
    """Return predictions (n_rows, n_outputs) of some parts as columns.

    Each row with its part, its number in the data from 0, what is true and what was predicted. Of
    some parts the rows may be given; else they are those of the split.
    """
    target, dataset = prepared.target, prepared.dataset
    rows = {p: rows[p] if p in rows else getattr(prepared.split, p) for p in predictions}
    every = np.concatenate(list(rows.values()))
    task = TASKS[target.task]
    said = task.table(np.concatenate(list(predictions.values())), target.names, threshold)
    columns = {
        "part": np.repeat(np.array(list(rows), object), [len(each) for each in rows.values()]),
        "row": every if dataset.rows is None else dataset.rows[every],
        "target": task.decode(dataset.y[every], target.names),
    }
    for name in list(columns):
        free = name
        while free in said:
            free += "_"
        columns[free] = columns.pop(name)
    return columns | said


def out_of_fold(members: Iterable[Trained]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows that test networks of several splits, and what these say of them.

    A row that several were tested on has their average, in a cross-validation that of its seeds.
    """
    total = counts = np.zeros((1, 1))
    for prepared, weights, network in members:
        rows, n_rows = prepared.split.test, len(prepared.dataset.y)
        if len(counts) < n_rows:
            total, counts = np.zeros((n_rows, len(prepared.target.names))), np.zeros((n_rows, 1))
        total[rows] += Network.from_weights(weights, network).predict(prepared.X[rows])[0]
        counts[rows] += 1
    tested = np.flatnonzero(counts)
    return tested, total[tested] / counts[tested]


def archive(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the content of a file that `numpy.load` reads."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def record_digests(facts: Mapping[str, str], metrics: Metrics, failure: str | None) -> str:
    """Return the content of the tag `RECORD` of a run that has left all its files.

    The `facts` are the digests of its files by their names, and its tags; the metrics are all
    values that it has recorded; `failure` says why it is FAILED.
    """
    facts = {
        **facts,
        "metrics": metrics_sha256(metrics),
        "ending": ending("FAILED" if failure else "FINISHED", failure),
    }
    digests = {part: part_digest(part, facts) for part in PARTS}
    return json.dumps(digests | {"all": digest_of_parts(digests)})


def part_digest(part: str, facts: Mapping[str, str]) -> str:
    """Return the SHA-256 over all that one of the `PARTS` covers, in hexadecimal."""
    return sha256(json.dumps([facts.get(name, "") for name in PARTS[part]]).encode())


def digest_of_parts(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 over the digests of the `PARTS`, in hexadecimal."""
    return sha256(json.dumps([digests.get(part, "") for part in PARTS]).encode())


def ending(status: str, failure: str | None) -> str:
    """Return how a run ended as its digest covers it; stores keep no blanks at the end."""
    return f"{status} {(failure or '')[:1000].strip()}"


def model_settings(prepared: Prepared, activation: str) -> dict[str, Any]:
    """Return what makes, with the weights, predictions from raw rows: plain data for JSON."""
    return {
        "activation": activation,
        **prepared.target.to_dict(),
        "preprocessing": prepared.preprocessing.to_dict(),
    }


def parts_of(weights: Mapping[str, NDArray[Any]], n: int) -> list[Mapping[str, NDArray[Any]]]:
    """Return the weights of each of the `n` networks whose weights were joined."""
    if n == 1:
        return [weights]
    parts = [
        {key: a.reshape(n, -1, *a.shape[1:])[m] for key, a in weights.items()} for m in range(n)
    ]
    return [{name: a[0] if len(a) == 1 else a for name, a in part.items()} for part in parts]


def unshared(
    weights: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Return the weights of members that share theirs as those of networks of their own.

    A member's scales are multiplied into its weight; what all have in common, each has.
    """
    own = dict(weights)
    for name, scale in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "scale_in":
            scale_out = weights[f"{layer}.scale_out"][:, None]
            own[f"{layer}.weight"] = scale[:, :, None] * weights[f"{layer}.weight"] * scale_out
    return {name: np.broadcast_to(own[name], shape) for name, shape in shapes.items()}


def weights_sha256(weights: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 over the bytes of all parameters, in their order."""
    digest = hashlib.sha256()
    for array in weights.values():
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def metrics_of(result: Result) -> Metrics:
    """Return what a run records of a result, as a store would give it back."""
    return {
        (name, step): (stored(value),)
        for step, metrics in (*result.history, *result.last_entries)
        for name, value in metrics.items()
    }


def metrics_sha256(metrics: Metrics) -> str:
    """Return the SHA-256 over names, steps and the bytes of all values, in hexadecimal."""
    keys = sorted(metrics)
    content = bits([value for key in keys for value in metrics[key]])
    pieces, at = [], 0
    for name, step in keys:
        n = len(metrics[name, step])
        pieces.append(_heading(name, step, n))
        pieces.append(content[at : at + 8 * n])
        at += 8 * n
    return sha256(b"".join(pieces))


@lru_cache(maxsize=4096)  # the runs of a stack have the same
def _heading(name: str, step: int, n: int) -> bytes:
    return f"{name}\n{step}\n{n}\n".encode(errors="surrogatepass")


def bits(values: Sequence[float]) -> bytes:
    """Return the bytes of doubles; any NaN as one and the same, for a database keeps no other."""
    return struct.pack(f"<{len(values)}d", *(math.nan if v != v else v for v in values))  # noqa: PLR0124  (NaN alone differs from itself)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@cache
def _environment() -> bytes:
    return json.dumps(environment(), indent=2).encode()
