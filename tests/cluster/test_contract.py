"""The contract of executors, on a Dask cluster."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.sweeps.cluster import Cluster
from runner.jobs.executors.dask import DaskCluster
from tests.runner.jobs.executors.contract import *  # noqa: F403  (the tests)


@pytest.fixture
def start(cluster: Cluster) -> Callable[..., DaskCluster]:
    def started(work: Callable[..., Any], tasks: list[Any], n_workers: int = 2) -> DaskCluster:
        executor = DaskCluster(cluster.address, n_workers, wait_s=30.0, work=work)
        executor.add(tasks)
        return executor

    return started
