"""What a process sets before it works: one BLAS thread, no search for garbage at its exit."""

import os

from runner.system.process import n_physical_cores
from tests.runner.processes import printed


def test_physical_cores_are_at_least_one_and_no_more_than_the_process_may_use() -> None:
    assert 1 <= n_physical_cores() <= len(os.sched_getaffinity(0))


def test_the_exit_searches_nothing_of_what_is_left() -> None:
    script = "skip_last_garbage_collection()\nprint(len(gc.get_objects()))"
    assert int(printed(f"import gc\nfrom runner.system.process import *\n{script}")) < 100
