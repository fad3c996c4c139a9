"""Processes that a test did not start itself: which are there, and their end, awaited or made.

The kernel tells when a process ends, so nothing here asks again and again, or sleeps.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]

WITHIN_S = 90  # a shared machine can be ten times slower than a quiet one


@dataclass(frozen=True)
class Process:
    """A process that can still do something."""

    pid: int
    parent: int
    group: int


def living() -> list[Process]:
    """List all processes of the machine that are alive."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    # Nobody may be there to bury an orphan: what is dead already does no work.
    return [Process(*map(int, row[:3])) for row in rows if not row[3].startswith("Z")]


def descendants(parent: int) -> set[int]:
    """List the living children of a process, and theirs."""
    processes = living()
    found, new = set[int](), {parent}
    while new:
        new = {process.pid for process in processes if process.parent in new}
        found |= new
    return found


def left_of(pids: Iterable[int]) -> list[int]:
    """Wait until processes have ended, and return those that do not."""
    deadline = time.monotonic() + WITHIN_S
    waited = sorted(pids)
    for pid in waited:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(handle)
    alive = {process.pid for process in living()}
    return [pid for pid in waited if pid in alive]


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that heads a group of its own, and whatever it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def printed(script: str, folder: Path = CHECKOUT, **variables: str) -> str:
    """Return what a script prints in a new process, which imports from a folder."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()
