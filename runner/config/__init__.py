"""The typed schema of an experiment: a plain dict in, a frozen Experiment or one error out.

Its modules are imported when a name is first used, so that composing a command line and completing
one load neither pydantic nor NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        fingerprint_of,
        job_key,
        read_recorded,
    )
    from runner.config.plain import (
        FOUND_OUT,
        SECTIONS,
        as_override_text,
        flatten,
        to_json,
        to_plain,
        to_yaml,
    )
    from runner.config.rules import without_groups
    from runner.config.schema import DaskExecutor, ExecutorConfig, Experiment, LocalExecutor
else:

    def __getattr__(name: str) -> object:
        """Import a public name from the module that has it."""
        if name in __all__:
            for module in ("plain", "fingerprint", "rules", "data", "schema"):
                members = vars(import_module(f"{__name__}.{module}"))
                if name in members:
                    return globals().setdefault(name, members[name])
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "FOUND_OUT",
    "SCHEMA",
    "SECTIONS",
    "BlobsData",
    "BundledData",
    "DaskExecutor",
    "DataConfig",
    "ExecutorConfig",
    "Experiment",
    "FileData",
    "KFoldSplit",
    "LocalExecutor",
    "MoonsData",
    "OrderedSplit",
    "SpiralsData",
    "SplitConfig",
    "TutorialData",
    "as_override_text",
    "configuration_key",
    "fingerprint_of",
    "flatten",
    "job_key",
    "read_recorded",
    "to_json",
    "to_plain",
    "to_yaml",
    "without_groups",
]
