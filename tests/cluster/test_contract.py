"""The contract of executors, on a Dask cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweeps.cluster import Cluster
from runner.jobs.executors.dask import DaskCluster
from tests.cluster.conftest import wait_until
from tests.runner.jobs.executors import works
from tests.runner.jobs.executors.contract import *  # noqa: F403  (the tests)
from tests.runner.processes import WITHIN_S


@pytest.fixture
def start(cluster: Cluster) -> Callable[..., DaskCluster]:
    def started(work: Callable[..., Any], tasks: list[Any], n_workers: int = 2) -> DaskCluster:
        executor = DaskCluster(cluster.address, n_workers, wait_s=30.0, work=work)
        executor.add(tasks)
        return executor

    return started


def test_workers_that_are_at_a_task_of_others_say_what_they_are(
    cluster: Cluster, tmp_path: Path
) -> None:
    from distributed import Client

    end = tmp_path / "end"
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=WITHIN_S)
        tasks = [client.submit(works.waiting, str(end), pure=False) for _ in range(2)]
        wait_until(lambda: all(client.processing().values()), "workers are idle")
        try:
            with DaskCluster(cluster.address, 2, wait_s=30.0) as executor:
                executor.require_workers()
                assert executor.capacity == 2
        finally:
            end.touch()
        client.gather(tasks)
