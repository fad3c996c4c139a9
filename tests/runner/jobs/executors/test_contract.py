"""The contract of executors, for the processes of this machine; Dask has it in `tests/cluster`."""

from collections.abc import Callable
from typing import Any

import pytest

from runner.jobs.executors.local import LocalProcesses
from tests.runner.jobs.executors.contract import *  # noqa: F403  (the tests)

# pytest-xdist has a thread of its own, which holds no lock that a worker needs.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
]


@pytest.fixture
def start() -> Callable[..., LocalProcesses]:
    def started(work: Callable[..., Any], tasks: list[Any], n_workers: int = 2) -> LocalProcesses:
        executor = LocalProcesses(n_workers, work)
        executor.add(tasks)
        return executor

    return started
