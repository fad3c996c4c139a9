"""The typed schema of an experiment: the plain dict in, a frozen Experiment or one error out.

Knows softnet's registries and the names of the YAML; not where a dict comes from, nor what data
look like.
"""

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
from runner.config.fingerprint import configuration_key, fingerprint, fingerprint_of
from runner.config.messages import without_groups
from runner.config.plain import (
    as_override_text,
    flatten,
    from_json,
    to_json,
    to_plain,
    to_yaml,
)
from runner.config.schema import Experiment

__all__ = [
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
    "from_json",
    "to_json",
    "to_plain",
    "to_yaml",
    "without_groups",
]
