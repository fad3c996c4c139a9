"""Signals that wait until what was begun is known."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from runner.system import signals
from runner.system.errors import Terminated
from runner.system.signals import held, raise_on_sigterm


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    raise_on_sigterm()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._came.clear()


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_signal_waits_for_the_end_of_the_block(number: signal.Signals, error: type[BaseException]):
    done = []

    def work() -> None:
        with held():
            send(number)
            done.append("all of it")

    with pytest.raises(error):
        work()
    assert done == ["all of it"]


def test_second_ctrl_c_does_not_wait():
    done = []

    def work() -> None:
        with held():
            send(signal.SIGINT)
            done.append("first")
            send(signal.SIGINT)
            done.append("second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first"]


def test_second_sigterm_is_ignored_while_the_first_is_dealt_with():
    with pytest.raises(Terminated):
        send(signal.SIGTERM)
    send(signal.SIGTERM)


def test_handlers_are_what_they_were_afterwards():
    before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    with held():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_second_sigterm_in_a_block_waits_as_the_first_does_and_changes_nothing():
    ends = []

    def block() -> None:
        with held():
            send(signal.SIGTERM)
            send(signal.SIGTERM)
            ends.append("done")

    with pytest.raises(Terminated):
        block()
    assert ends == ["done"]
    send(signal.SIGTERM)  # what is being closed stays undisturbed


def test_sigterm_that_came_before_stays_ignored_after_a_block():
    with pytest.raises(Terminated):
        send(signal.SIGTERM)
    with held():
        send(signal.SIGTERM)
    send(signal.SIGTERM)


def test_error_in_the_block_comes_out_where_no_signal_came():
    with pytest.raises(ValueError, match="mine"), held():
        raise ValueError("mine")


def test_other_threads_hold_nothing():
    ends = []

    def work() -> None:
        with held():
            ends.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ends == ["done"]


def test_a_sigterm_that_a_library_swallows_ends_the_program_later() -> None:
    script = """
import os, signal
from runner.system.errors import Terminated
from runner.system.signals import raise_on_sigterm, raise_what_was_swallowed

raise_on_sigterm()
raise_what_was_swallowed()
try:
    os.kill(os.getpid(), signal.SIGTERM)
except:
    pass
try:
    raise_what_was_swallowed()
except Terminated:
    print("ended")
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"ended\n"
