"""Lines on a terminal, in a pipe or in a file, each as it should be there.

Colours and cuts to the width are for terminals alone. It must not know what the lines say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from runner.system.text import printable

if TYPE_CHECKING:
    from rich.console import Console

# A file has no width: whoever reads it scrolls, or cuts columns.
_NO_LIMIT = 100_000


@contextmanager
def printing(file: TextIO | None) -> Iterator[Console]:
    """Give a console to print on, and write all of it to the file at the end.

    Parameters
    ----------
    file : text file or None
        None is the standard output.

    Raises
    ------
    OSError
        If the file cannot be written, for instance BrokenPipeError where its reader has gone.
    """
    target = sys.stdout if file is None else file
    console = _console(target)
    with console.capture() as captured:
        yield console
    target.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    target.flush()


def _console(target: TextIO) -> Console:
    from rich.console import Console

    console = Console(
        file=target,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )
    if not console.is_terminal:
        console.width = _NO_LIMIT
    return console


def print_line(console: Console, *parts: tuple[str, str]) -> None:
    """Print a line of texts, each with its style.

    The terminal may wrap it, but it is never cut: it may be copied.
    """
    from rich.text import Text

    console.print(Text.assemble(*parts), soft_wrap=True)


def print_way_on(console: Console, where: str, them: str) -> None:
    """Print how to look further: a link, or a command."""
    print_line(console, (f"Look at {them}: ", ""), (printable(where), "cyan"))
