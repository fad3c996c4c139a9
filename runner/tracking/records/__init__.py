"""Recorded runs, from a store or from an exported folder, read as what anybody may have written.

Whatever comes out of here was checked against what a run of this program can be. Nothing in here
can name a Python object, follow a reference, or unpickle.
"""

from runner.tracking.records.export_folder import ExportedRun, rerun_command, write_folder
from runner.tracking.records.lookup import find_source
from runner.tracking.records.mlflow_record import StoredRun
from runner.tracking.records.record import Record, ending_in_words
from runner.tracking.records.recorded_model import RecordedModel

__all__ = [
    "ExportedRun",
    "Record",
    "RecordedModel",
    "StoredRun",
    "ending_in_words",
    "find_source",
    "rerun_command",
    "write_folder",
]
