"""Runs of the past, from a store or from a folder of their own: read as data, believed in nothing.

Whatever comes out of here was checked against what a run of this program can be. Nothing in here
can name a Python object, follow a reference, or unpickle.
"""

from runner.records.finding import find_source
from runner.records.folder import FolderSource, write_folder
from runner.records.model import RecordedModel
from runner.records.original import Original, Source

__all__ = [
    "FolderSource",
    "Original",
    "RecordedModel",
    "Source",
    "find_source",
    "write_folder",
]
