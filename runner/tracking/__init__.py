"""Results go to MLflow, and MLflow is known in this room alone.

`open_store` finds the store that is meant, its `start_run` begins a run; `runner.tracking.ui` shows
them all. Importing this costs nothing: MLflow itself is imported when a store is opened.
"""

from runner.tracking.runs import RecordedRun
from runner.tracking.store import Store, open_store

__all__ = ["RecordedRun", "Store", "open_store"]
