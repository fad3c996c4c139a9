"""The files of a run: what it was asked, on what machine, what it left; each with its digest."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config import to_yaml
from runner.system.environment import environment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.config import Experiment
    from runner.training.prepare import Prepared
    from runner.training.train import Result

CONFIG, ENVIRONMENT, MODEL, WEIGHTS = "config.yaml", "environment.json", "model.json", "weights.npz"
# The tag of a run that holds the SHA-256 of each of its files, as JSON.
DIGESTS = "runner.files_sha256"

# Values by metric and step; more than one where a record holds different ones.
Metrics = Mapping[tuple[str, int], tuple[float, ...]]

# The tag of a run that holds the digest of its metrics.
METRICS_DIGEST = "runner.metrics_sha256"

# MLflow stores an infinity as the largest double.
_LARGEST = 1.7976931348623157e308


def write_run_files(
    folder: Path,
    experiment: Experiment,
    prepared: Prepared,
    weights: Mapping[str, NDArray[Any]],
) -> dict[str, str]:
    """Write the files of a run into a folder that is there already.

    Returns
    -------
    dict of str to str
        SHA-256 in hexadecimal of each file by its name.

    Raises
    ------
    OSError
        If the disk is full.
    """
    model = json.dumps(model_settings(prepared, experiment.model.activation), indent=1)
    texts = {CONFIG: to_yaml(experiment), ENVIRONMENT: _environment(), MODEL: model + "\n"}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    np.savez(folder / WEIGHTS, allow_pickle=False, **weights)
    digests = {name: sha256(text.encode()) for name, text in texts.items()}
    return digests | {WEIGHTS: sha256((folder / WEIGHTS).read_bytes())}


def model_settings(prepared: Prepared, activation: str) -> dict[str, Any]:
    """Return what makes, with the weights, predictions from raw rows: plain data for JSON."""
    return {
        "activation": activation,
        "class_names": prepared.dataset.class_names,
        "preprocessing": prepared.preprocessing.to_dict(),
    }


def weights_sha256(weights: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 over the bytes of all parameters, in their order."""
    digest = hashlib.sha256()
    for array in weights.values():
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def metrics_of(result: Result) -> Metrics:
    """Return what a run records of a result, as a store would give it back."""
    return {
        # NaN passes through both of them.
        (name, step): (min(max(value, -_LARGEST), _LARGEST),)
        for step, metrics in (*result.history, *result.last_entries)
        for name, value in metrics.items()
    }


def metrics_sha256(metrics: Metrics) -> str:
    """Return the SHA-256 over names, steps and the bytes of all values, in hexadecimal."""
    digest = hashlib.sha256()
    for (name, step), values in sorted(metrics.items()):
        digest.update(f"{name}\n{step}\n{len(values)}\n".encode(errors="surrogatepass"))
        digest.update(bits(values))
    return digest.hexdigest()


def bits(values: Sequence[float]) -> bytes:
    """Return the bytes of doubles; any NaN as one and the same, for a database keeps no other."""
    return struct.pack(f"<{len(values)}d", *(math.nan if v != v else v for v in values))  # noqa: PLR0124  (NaN alone differs from itself)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@cache
def _environment() -> str:
    return json.dumps(environment(), indent=2)
