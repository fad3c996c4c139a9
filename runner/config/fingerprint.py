"""What an experiment is to machines: its key, its plain values, its YAML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from runner.system.text import without_passwords

if TYPE_CHECKING:
    from runner.config.schema import Experiment

# Where a run is recorded, and how others are run beside it: they do not decide its result.
_ELSEWHERE = ("name", "tracking", "sweep")


def to_plain(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as dicts, lists, text and numbers, as YAML and JSON hold them.

    Whatever is recorded of it is made from this, so that the store's address has no password here.
    """
    plain: dict[str, Any] = experiment.model_dump(mode="json")
    tracking = plain["tracking"]
    if tracking["uri"] is not None:
        tracking["uri"] = without_passwords(tracking["uri"])
    return plain


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


def to_yaml(experiment: Experiment) -> str:
    """Return `to_plain` as YAML that reads back as the same values, in Hydra too."""
    return yaml.dump(
        to_plain(experiment), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # chosen here
    """YAML's own, in C where it is there, with quotes around text that looks like a number."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "'" if _numeric(text) else None
        node: yaml.ScalarNode = self.represent_scalar("tag:yaml.org,2002:str", text, style)
        return node


def _numeric(text: str) -> bool:
    # PyYAML takes 1e-3 for text, and Hydra for a number.
    try:
        float(text.replace("_", ""))
    except ValueError:
        return False
    return True


_Dumper.add_representer(str, _Dumper.represent_text)
