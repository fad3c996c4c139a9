"""Ctrl-C and what else ends a program: exceptions anywhere, except where they have to wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from runner.system.errors import Terminated

INTERRUPTED = 128 + signal.SIGINT
# A supervisor, a terminal or connection that is closed, and Ctrl-\\.
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_came: list[int] = []


def raise_on_sigterm() -> None:
    """Have SIGTERM, SIGHUP and SIGQUIT raise `Terminated`, as Ctrl-C raises KeyboardInterrupt.

    One that is ignored stays so: `nohup` has a program outlive its terminal.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)


def leave_terminal_to_parent() -> None:
    """Ignore what a terminal sends to all of its processes: the one that feeds a worker decides."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def end_undisturbed() -> None:
    """Ignore all that would end this process: it is about to end, and has to clean up."""
    for number in (signal.SIGINT, *_ENDING):
        signal.signal(number, signal.SIG_IGN)


def raise_pending_sigterm() -> None:
    """Raise `Terminated` if a signal came, and something has kept it from ending the program.

    Some libraries have bare ``except:`` clauses around their imports. Call this when they are
    loaded, before there is something to lose.
    """
    if _came:
        raise Terminated(_came[0])


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    _came.append(number)
    # A group and a supervisor often send it twice: what is being closed now stays undisturbed.
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise Terminated(number)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let signals wait for the end of a block, so that what it begins can be closed.

    A second Ctrl-C does not wait. In threads other than the main one, where Python delivers no
    signals, this does nothing.

    Examples
    --------
    >>> run = None
    >>> try:
    ...     with deferred_signals():
    ...         run = "begun"  # a signal in here is raised after this line
    ... except BaseException:
    ...     print("closing", run)
    ...     raise
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    numbers = (signal.SIGINT, *_ENDING)
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}

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
        for number in numbers:
            # A signal that came before and is ignored since stays ignored.
            if handlers[number] is not signal.SIG_IGN:
                signal.signal(number, hold)
        yield
    finally:
        release()
