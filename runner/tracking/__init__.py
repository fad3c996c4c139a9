"""Results go to MLflow, which is imported in this package alone, when a store is opened.

`open_store` opens a store, its `start_run` begins a run; `runner.tracking.ui` shows them all. Any
call that reads or writes a store raises `StoreError` where the store or the disk fails.
"""

from runner.tracking.backend.artifacts import read_file
from runner.tracking.backend.lease import Lease, Turn
from runner.tracking.backend.rows import RunQuery
from runner.tracking.opening import (
    address_of,
    find_store,
    find_stores,
    leave_stores,
    open_store,
    record_kept,
    require_shared,
    store_at,
    unrecorded_notice,
)
from runner.tracking.queries import (
    MEMBERS,
    PRUNED_AT,
    REFIT_OF,
    ROWS,
    SEARCH_NAME,
    SUMMED_UP,
    RecordedGroup,
    RecordedJob,
    RecordedSweep,
    Sweeps,
    SweepSummary,
    choices_of,
    count_tags,
    expected_names,
    final_metrics,
    job_of,
    run_id_of,
    started_s,
    sweep_of,
    varied_of,
)
from runner.tracking.run_writer import (
    FLUSH_EVERY_S,
    RunWriter,
    close_again,
    logged,
    model_facts,
    model_name,
    params_of,
    write_together,
)
from runner.tracking.store import Store, StoreAddress

__all__ = [
    "FLUSH_EVERY_S",
    "MEMBERS",
    "PRUNED_AT",
    "REFIT_OF",
    "ROWS",
    "SEARCH_NAME",
    "SUMMED_UP",
    "Lease",
    "RecordedGroup",
    "RecordedJob",
    "RecordedSweep",
    "RunQuery",
    "RunWriter",
    "Store",
    "StoreAddress",
    "SweepSummary",
    "Sweeps",
    "Turn",
    "address_of",
    "choices_of",
    "close_again",
    "count_tags",
    "expected_names",
    "final_metrics",
    "find_store",
    "find_stores",
    "job_of",
    "leave_stores",
    "logged",
    "model_facts",
    "model_name",
    "open_store",
    "params_of",
    "read_file",
    "record_kept",
    "require_shared",
    "run_id_of",
    "started_s",
    "store_at",
    "sweep_of",
    "unrecorded_notice",
    "varied_of",
    "write_together",
]
