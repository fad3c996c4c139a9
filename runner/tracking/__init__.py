"""Results go to MLflow, and MLflow is known in this room alone.

`open_store` finds the store that is meant, its `start_run` begins a run; `runner.tracking.ui` shows
them all. Importing this costs nothing: MLflow itself is imported when a store is opened.
"""

from runner.tracking.backend.artifacts import read_file
from runner.tracking.opening import (
    StoreAddress,
    address_of,
    find_store,
    find_stores,
    leave_stores,
    open_store,
    store_at,
)
from runner.tracking.queries import Sweeps
from runner.tracking.recorded import (
    SUMMED_UP,
    UNREAD,
    RecordedJob,
    RecordedSweep,
    final_metrics,
    varied_of,
)
from runner.tracking.run_writer import FLUSH_EVERY_S, RecordedRun, flattened
from runner.tracking.store import Store

__all__ = [
    "FLUSH_EVERY_S",
    "SUMMED_UP",
    "UNREAD",
    "RecordedJob",
    "RecordedRun",
    "RecordedSweep",
    "Store",
    "StoreAddress",
    "Sweeps",
    "address_of",
    "final_metrics",
    "find_store",
    "find_stores",
    "flattened",
    "leave_stores",
    "open_store",
    "read_file",
    "store_at",
    "varied_of",
]
