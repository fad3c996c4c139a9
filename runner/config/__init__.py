"""The typed schema of an experiment: a plain dict in, a frozen Experiment or one error out."""

from runner.config.data import (
    BlobsData,
    BundledData,
    DataConfig,
    FileData,
    KFoldSplit,
    MoonsData,
    OrderedSplit,
    SpiralsData,
    SplitConfig,
    TutorialData,
)
from runner.config.fingerprint import (
    SCHEMA,
    configuration_key,
    fingerprint,
    fingerprint_of,
    read_recorded,
)
from runner.config.plain import (
    as_override_text,
    flatten,
    to_json,
    to_plain,
    to_yaml,
)
from runner.config.rules import without_groups
from runner.config.schema import Experiment

__all__ = [
    "SCHEMA",
    "BlobsData",
    "BundledData",
    "DataConfig",
    "Experiment",
    "FileData",
    "KFoldSplit",
    "MoonsData",
    "OrderedSplit",
    "SpiralsData",
    "SplitConfig",
    "TutorialData",
    "as_override_text",
    "configuration_key",
    "fingerprint",
    "fingerprint_of",
    "flatten",
    "read_recorded",
    "to_json",
    "to_plain",
    "to_yaml",
    "without_groups",
]
