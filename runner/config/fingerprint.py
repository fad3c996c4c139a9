"""The key of a run: a digest of the settings and the data that decide its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.config.plain import to_plain

if TYPE_CHECKING:
    from runner.config.schema import Experiment

# Where a run is recorded, and how others are run beside it: they do not decide its result.
_ELSEWHERE = ("name", "tracking", "sweep")


def fingerprint(experiment: Experiment, data_digest: str) -> str:
    """Return the key of a run: the same for whatever must give the same result.

    Parameters
    ----------
    experiment : Experiment
        The run; its name, its tracking and the path of its data do not count.
    data_digest : str
        The digest of the data's content, which does.

    Returns
    -------
    str
        SHA-256 in hexadecimal over the canonical JSON of both.
    """
    return fingerprint_of(to_plain(experiment), data_digest)


def fingerprint_of(plain: Mapping[str, Any], data_digest: str) -> str:
    """Return the key of a run from plain values as they are, of whatever version of the schema."""
    decisive = {key: value for key, value in plain.items() if key not in _ELSEWHERE}
    if isinstance(decisive.get("data"), dict):
        decisive["data"] = {key: v for key, v in decisive["data"].items() if key != "path"}
    canonical = json.dumps(
        {"data_digest": data_digest, "experiment": decisive},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def configuration_key(experiment: Experiment, data_digest: str) -> str:
    """Return the key of a run, whatever its seed: that of all runs of one configuration."""
    return fingerprint(experiment.model_copy(update={"seed": 0}), data_digest)
