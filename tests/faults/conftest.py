"""Faults of records, machines and servers, one table for each kind; what each survived is counted.

``FAULTS=1``, which `make faults` sets, asks for these tests: they take minutes. Without it they say
so and are skipped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.cli.conftest import shared, sweeper
from tests.runner.conftest import command, inject

__all__ = ["command", "inject", "shared", "sweeper"]

HERE = Path(__file__).parent
ABSENT = "FAULTS=1 is not set: records, machine and servers did not fail (`make faults` has them)"
# What was tried of each kind, and what was survived.
TRIED: Counter[str] = Counter()
SURVIVED: Counter[str] = Counter()
Survive = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip every test of this folder unless it is asked for."""
    if os.environ.get("FAULTS") != "1":
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=ABSENT))


@pytest.fixture
def survive(request: pytest.FixtureRequest) -> Survive:
    """Count faults of a kind as survived, once what followed has been asserted."""

    def count(kind: str, number: int = 1) -> None:
        request.node.user_properties.append((kind, number))

    return count


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test counted; what it could not assert was not survived."""
    for kind, number in report.user_properties if report.when == "call" else ():
        TRIED[kind] += int(str(number))
        SURVIVED[kind] += int(str(number)) * report.passed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many faults of each kind were tried and survived."""
    for kind, tried in TRIED.items():
        terminalreporter.write_line(f"{kind}: {SURVIVED[kind]:,} of {tried:,} survived")
