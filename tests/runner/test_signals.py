"""Signals that wait until what was begun is known."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from runner.errors import Terminated
from runner.signals import held, raise_on_sigterm


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    raise_on_sigterm()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
