"""Recorded runs, from a store or an exported folder, read as what anybody may have written.

All that these modules return was checked against what a run of this program can be. They unpickle
nothing, follow no reference, and import nothing that a record names.
"""

from runner.tracking.records.export_folder import (
    ExportedRun,
    rerun_command,
    write_average,
    write_folder,
)
from runner.tracking.records.mlflow_record import StoredRun, find_source
from runner.tracking.records.record import Record, RecordedNetwork, ending_in_words
from runner.tracking.records.recorded_model import RecordedModel

__all__ = [
    "ExportedRun",
    "Record",
    "RecordedModel",
    "RecordedNetwork",
    "StoredRun",
    "ending_in_words",
    "find_source",
    "rerun_command",
    "write_average",
    "write_folder",
]
