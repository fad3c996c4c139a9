"""Ctrl-C and SIGTERM: exceptions wherever the program is, except where they have to wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from runner.system.errors import Terminated

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

_came: list[int] = []


def raise_on_sigterm() -> None:
    """Have SIGTERM raise `Terminated`, as Ctrl-C raises KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _terminate)


def raise_pending_sigterm() -> None:
    """Raise `Terminated` if SIGTERM came, and something has kept it from ending the program.

    Some libraries have bare ``except:`` clauses around their imports. Call this when they are
    loaded, before there is something to lose.
    """
    if _came:
        raise Terminated


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    _came.append(_signal)
    # A group and a supervisor often send it twice; the second must not disturb the closing.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


@contextmanager
def held() -> Iterator[None]:
    """Let signals wait for the end of a block, so that what it begins can be closed.

    A second Ctrl-C does not wait. In threads other than the main one, where Python delivers no
    signals, this does nothing.

    Examples
    --------
    >>> run = None
    >>> try:
    ...     with held():
    ...         run = "begun"  # a signal in here is raised after this line
    ... except BaseException:
    ...     print("closing", run)
    ...     raise
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    both = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in both}

    def hold(number: int, _frame: FrameType | None) -> None:
        # A person may press Ctrl-C again; a supervisor that sends SIGTERM again means no more.
        if waiting and number == signal.SIGINT:
            release()
        waiting.append(number)

    def release() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            first = waiting[0]
            waiting.clear()
            signal.raise_signal(first)

    try:
        for number in both:
            # A signal that came before and is ignored since stays ignored.
            if handlers[number] is not signal.SIG_IGN:
                signal.signal(number, hold)
        yield
    finally:
        release()
