"""Runs of the past, from a store or from a folder of their own: read as data, believed in nothing.

Whatever comes out of here was checked against what a run of this program can be. Nothing in here
can name a Python object, follow a reference, or unpickle.
"""

from runner.tracking.records.export_folder import FolderSource, rerun_command, write_folder
from runner.tracking.records.lookup import find_source
from runner.tracking.records.record import Original
from runner.tracking.records.recorded_model import RecordedModel
from runner.tracking.records.source import Source, end_in_words, is_possible_end

__all__ = [
    "FolderSource",
    "Original",
    "RecordedModel",
    "Source",
    "end_in_words",
    "find_source",
    "is_possible_end",
    "rerun_command",
    "write_folder",
]
