"""The commands that have a name: what each of them takes, and who carries it out.

Each imports what it needs when it is called, so that help and a typing error cost little.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import NoReturn

from runner.errors import CommandError


def _show(arguments: Sequence[str]) -> None:
    parser = _Parser("show", "Show what came out of a sweep: by default the newest one.")
    parser.add_argument(
        "sweep", nargs="?", metavar="SWEEP", help="its name or its run's id, or how one begins"
    )
    parser.add_argument("--metric", help="ranks by it, for instance test/accuracy")
    parser.add_argument("--top", type=_count, metavar="N", help="shows the best N alone")
    parser.add_argument("--csv", action="store_true", help="prints every job as CSV instead")
    _add_uri(parser)
    options = parser.parse_args(list(arguments))

    from runner.show import show_sweep

    show_sweep(options.sweep, options.metric, options.top, as_csv=options.csv, uri=options.uri)


def _sweeps(arguments: Sequence[str]) -> None:
    parser = _Parser("sweeps", "List the sweeps, the newest first.")
    _add_uri(parser)
    options = parser.parse_args(list(arguments))

    from runner.show import list_sweeps

    list_sweeps(options.uri)


def _ui(arguments: Sequence[str]) -> None:
    parser = _Parser("ui", "Show the runs in a browser, on this machine.")
    parser.add_argument("--port", type=_port, default=5000, help="default: 5000")
    _add_uri(parser)
    options = parser.parse_args(list(arguments))

    from runner.tracking.ui import ui

    ui(options.uri, options.port)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "show": _show,
    "sweeps": _sweeps,
    "ui": _ui,
}


class _Parser(ArgumentParser):
    """A parser whose complaints are errors of ours."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(f"runner {command}", description=description)

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise CommandError(f"{self.prog}: {message}. Usage: {usage}")


def _add_uri(parser: ArgumentParser) -> None:
    parser.add_argument("--uri", help="the store, in place of the one that runs go to")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"must be a number from 1 to 65535, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number, 1 or above, got {text!r}")
    return int(text)
