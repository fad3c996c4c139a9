"""Signals that wait until what was begun is on record."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from runner.system import signals
from runner.system.errors import Terminated
from runner.system.signals import deferred_signals, raise_on_sigterm

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
ALL = (signal.SIGINT, *ENDING)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ALL}
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore some
    raise_on_sigterm()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._came.clear()


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def send_in_a_block(numbers: list[signal.Signals], steps: list[str]) -> None:
    """Send signals in a block, and note each after which it went on."""
    with deferred_signals():
        for number in numbers:
            send(number)
            steps.append(number.name)


@pytest.mark.parametrize(
    ("sent", "error", "expected"),
    [
        ([signal.SIGINT], KeyboardInterrupt, ["SIGINT"]),
        ([signal.SIGTERM], Terminated, ["SIGTERM"]),
        ([signal.SIGINT] * 2, KeyboardInterrupt, ["SIGINT"]),  # a second Ctrl-C does not wait
        ([signal.SIGTERM] * 2, Terminated, ["SIGTERM", "SIGTERM"]),
        ([signal.SIGHUP], Terminated, ["SIGHUP"]),
        ([signal.SIGQUIT, signal.SIGHUP], Terminated, ["SIGQUIT", "SIGHUP"]),
    ],
)
def test_a_signal_waits_for_the_end_of_the_block(
    sent: list[signal.Signals], error: type[BaseException], expected: list[str]
) -> None:
    steps: list[str] = []
    with pytest.raises(error) as caught:
        send_in_a_block(sent, steps)
    assert steps == expected
    if isinstance(caught.value, Terminated):
        assert caught.value.exit_code == 128 + sent[0]
        for number in ENDING:
            send(number)  # what is being closed stays undisturbed


def test_a_signal_that_is_ignored_stays_so_as_nohup_has_it() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_on_sigterm()
    with deferred_signals():
        send(signal.SIGHUP)
    send(signal.SIGHUP)


def test_a_second_sigterm_is_ignored_while_the_first_is_dealt_with() -> None:
    with pytest.raises(Terminated):
        send(signal.SIGTERM)
    send(signal.SIGTERM)
    with deferred_signals():
        send(signal.SIGTERM)
    send(signal.SIGTERM)


def test_without_a_signal_a_block_changes_nothing() -> None:
    before = [signal.getsignal(number) for number in ALL]
    with pytest.raises(ValueError, match="mine"), deferred_signals():
        raise ValueError("mine")
    assert [signal.getsignal(number) for number in ALL] == before


def test_other_threads_hold_nothing() -> None:
    ends = []

    def work() -> None:
        with deferred_signals():
            ends.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ends == ["done"]


def test_a_sigterm_that_a_library_swallows_ends_the_program_later() -> None:
    script = """
import os, signal
from runner.system.errors import Terminated
from runner.system.signals import raise_on_sigterm, raise_pending_sigterm

raise_on_sigterm()
raise_pending_sigterm()
try:
    os.kill(os.getpid(), signal.SIGTERM)
except:
    pass
try:
    raise_pending_sigterm()
except Terminated:
    print("ended")
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"ended\n"
