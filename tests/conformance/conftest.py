"""What takes minutes: training beside PyTorch, and reruns under a hundred conditions.

PyTorch is an extra: without it these tests say so, and where it was promised they fail.

``CONFORMANCE=1`` is that promise: `make conformance` sets it, so that CI cannot skip in silence.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.runner.cli.conftest import shared  # noqa: F401  (a fixture, for the reruns)

HERE = Path(__file__).parent
ABSENT = "PyTorch is not installed: nothing was compared with it (`make conformance` installs it)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as skipped, or let it fail, where PyTorch is missing."""
    if importlib.util.find_spec("torch") is None and os.environ.get("CONFORMANCE") != "1":
        # The hook sees the items of every folder that is run along with this one.
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=ABSENT))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Say why the tests fail if PyTorch is missing; else keep it to one thread, as BLAS is."""
    try:
        import torch
    except ModuleNotFoundError:
        pytest.fail(ABSENT)
    torch.set_num_threads(1)
