"""The key of a run: a digest of the settings and the data that decide its result.

A setting that is added later must not give old runs other keys: it enters a key only where it is
not at the value that reproduces earlier versions.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from runner.config.plain import UNDECISIVE, to_plain

if TYPE_CHECKING:
    from runner.config.schema import Experiment

# The number of today's schema: raised with each setting that is added.
SCHEMA = 4

# The settings, or whole groups, that each schema after the first has added, with the value that
# stands for what was before: {2: {"model.dropout": 0.0, "data[file].categories": None}}. The name
# in brackets says which section of a group has the setting, where not all of them do.
ADDED: dict[int, dict[str, Any]] = {
    2: {
        "data[file].drop": [],
        "data[file].categories": [],
        "data[file].max_categories": 1_000,
        "data[file].columns": {},
        "data[file].missing": "refuse",
        "data[file].missing_values": [],
        "data[file].decimal": ".",
        "data[file].header": True,
        "data[file].encoding": "utf-8",
        "data[file].day_first": None,
        "model.dropout": 0.0,
        "model.normalization": "none",
        "model.residual": False,
        "training.averaging": None,
    },
    3: {
        "task": "classification",
        "data[file].positive": None,
        "data[file].test_path": None,
        "data[file].val_path": None,
        "data[file].split_column": None,
        "data[file].group": None,
        "data[file].time": None,
        "data[file].weight": None,
        "training.loss": None,
        "training.class_weight": None,
        "training.label_smoothing": 0.0,
        "training.init_from": None,
        "training.init_sha256": None,
        "model.number_embedding": "none",
        "model.word_embedding": None,
        "model.input_scale": False,
        "model.n_members": 1,
        "model.share": "none",
    },
    4: {"data[file].formats": None},
}

# Of a person's file the content decides, and its digest says what that is.
_OF_THE_FILE = ("path", "test_path", "val_path", "columns", "formats")


def job_key(experiment: Experiment, data_digest: str) -> str:
    """Return the key of a run: SHA-256 of the settings and the data that decide its result.

    The run's name, its tracking and the path of its data do not count; the data's digest does.
    """
    return fingerprint_of(to_plain(experiment), data_digest)


def fingerprint_of(plain: Mapping[str, Any], data_digest: str) -> str:
    """Return the key of a run from plain values, of whatever schema they are."""
    decisive = {key: value for key, value in plain.items() if key not in ("name", *UNDECISIVE)}
    if isinstance(decisive.get("data"), dict):
        decisive["data"] = {k: v for k, v in decisive["data"].items() if k not in _OF_THE_FILE}
    if isinstance(decisive.get("training"), dict):
        # Of the weights that it starts from the digest decides, and not where they are.
        decisive["training"] = {**decisive["training"], "init_from": None}
    if ADDED:
        decisive = _without_added(decisive)
    canonical = _canonical({"data_digest": data_digest, "experiment": decisive})
    return hashlib.sha256(canonical.encode()).hexdigest()


def configuration_key(
    experiment: Experiment, data_digest: str, split_by: Collection[str] = ()
) -> str:
    """Return the key of a configuration: that of its runs, whatever their seeds.

    And whatever their settings of the split, such as ``fold``, that are in `split_by`.
    """
    plain = to_plain(experiment) | {"seed": 0}
    plain["split"] = {k: value for k, value in plain["split"].items() if k not in split_by}
    return fingerprint_of(plain, data_digest)


def read_recorded(plain: Mapping[str, Any], schema: int) -> dict[str, Any]:
    """Return values that were recorded with an earlier schema as today's schema has them.

    Each setting that was added since gets the value that stands for what was before it.
    """
    values = copy.deepcopy(dict(plain))
    for number, settings in ADDED.items():
        for key, before in settings.items():
            section, name = _section_of(values, key)
            if number > schema and section is not None:
                section.setdefault(name, copy.deepcopy(before))
    return values


def _without_added(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the added settings that are at the value of before."""
    values = dict(json.loads(_canonical(plain)))
    for settings in ADDED.values():
        for key, before in settings.items():
            section, name = _section_of(values, key)
            if (
                section
                and name in section
                and section[name] == before  # which is the quicker question
                # As JSON: 0 and false are two values.
                and _canonical(section[name]) == _canonical(before)
            ):
                del section[name]
    return values


def _section_of(values: dict[str, Any], key: str) -> tuple[dict[str, Any] | None, str]:
    """Return the section that has a setting of `ADDED`, None where there is none, and its name."""
    *groups, name = key.split(".")
    section: Any = values
    for group in groups:
        word, _, option = group.rstrip("]").partition("[")
        section = section.get(word)
        if not isinstance(section, dict) or option not in ("", section.get("name")):
            return None, name
    return section, name


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
