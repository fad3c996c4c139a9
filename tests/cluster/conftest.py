"""A cluster on this machine, and PostgreSQL behind the tracking server where it can be started.

``CLUSTER=1``, which `make cluster-tests` sets, promises that Dask is installed: without it these
tests say so and are skipped; where it was promised they fail.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.sweeps.cluster import Cluster, Serving, free_port, missing_for_postgres, served
from tests.runner.conftest import command
from tests.runner.processes import WITHIN_S

__all__ = ["command"]  # pytest finds fixtures by their names here

HERE = Path(__file__).parent
ABSENT = "dask.distributed is not installed: no cluster was tested (`make cluster-tests` does)"
SETTINGS = {
    # A worker that is stopped is taken for dead after seconds instead of minutes.
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
    # Long jobs are shown after a second, since tests wait for it; short ones end before.
    "DASK_DISTRIBUTED__WORKER__PRELOAD": (
        "from runner.jobs.worker import stack_run; stack_run._SHOWN_AFTER_S = 1.0"
    ),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as skipped, or let it fail, where Dask is missing."""
    if importlib.util.find_spec("distributed") is None and os.environ.get("CLUSTER") != "1":
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=ABSENT))


def pytest_report_header() -> str:
    """Say what is behind the tracking server."""
    missing = missing_for_postgres()
    return f"tracking server: on {f'SQLite, since {missing}' if missing else 'PostgreSQL'}"


def wait_until(condition: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    """Look again and again, and say what did not come."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Run a tracking server for all tests."""
    with served(tmp_path_factory.mktemp("server"), free_port()) as running:
        yield running


@pytest.fixture(scope="session")
def server(serving: Serving) -> str:
    """The address of the tracking server."""
    return serving.address


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give all tests a scheduler with two workers, since to start them takes seconds."""
    made = Cluster(tmp_path_factory.mktemp("cluster"), free_port(), SETTINGS)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def cluster(started: Cluster) -> Cluster:
    """Give a test a scheduler with two workers; what the one before has killed is started again."""
    started.mend()
    return started
