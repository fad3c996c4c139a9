"""Every value that a run records of its metrics, and the digest by which they are known.

It must not know where they are on record, nor what they measure.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.training.train import Result

# Values by metric and step; more than one where a record holds different ones.
Metrics = Mapping[tuple[str, int], tuple[float, ...]]

# MLflow stores an infinity as the largest double.
_LARGEST = 1.7976931348623157e308


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
