"""Results go to MLflow, and MLflow is known in this room alone.

`open_store` finds the store that is meant, its `start_run` begins a run; `runner.tracking.ui` shows
them all. Importing this costs nothing: MLflow itself is imported when a store is opened.
"""

from runner.tracking.artifacts import read_file
from runner.tracking.opening import find_store, find_stores, open_store
from runner.tracking.originals import (
    RecordedOriginal,
    find_original,
    is_run_id,
    members_of,
    original_of,
)
from runner.tracking.recorded import (
    SUMMED_UP,
    UNREAD,
    RecordedJob,
    RecordedSweep,
    final_metrics,
    varied_of,
)
from runner.tracking.runs import FLUSH_EVERY_S, RecordedRun, flattened
from runner.tracking.store import Store
from runner.tracking.sweeps import Sweeps

__all__ = [
    "FLUSH_EVERY_S",
    "SUMMED_UP",
    "UNREAD",
    "RecordedJob",
    "RecordedOriginal",
    "RecordedRun",
    "RecordedSweep",
    "Store",
    "Sweeps",
    "final_metrics",
    "find_original",
    "find_store",
    "find_stores",
    "flattened",
    "is_run_id",
    "members_of",
    "open_store",
    "original_of",
    "read_file",
    "varied_of",
]
