"""No worker of any test outlives it."""

import multiprocessing
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_workers_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []
