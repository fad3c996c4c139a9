"""A real terminal for a test to print on, of a width that the test sets through COLUMNS."""

import codecs
import os
import pty
import re
from types import TracebackType
from typing import Self

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """The two ends of a pseudo-terminal: `file` to print on, `text` for what was printed.

    Examples
    --------
    >>> with Terminal() as terminal:
    ...     _ = terminal.file.write("hello")
    ...     terminal.text()
    'hello'
    """

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        # Another process may have written half a character by now.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.file.closed:
            self.file.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the person's end, as when a window is closed."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def text(self) -> str:
        """Return all that was printed since the last call, newlines as in a file."""
        self.file.flush()
        found = b""
        while True:
            try:
                found += os.read(self._master, 65536)
            except BlockingIOError:
                return self._decoder.decode(found).replace("\r\n", "\n")


def plain(text: str) -> str:
    """Return what a person reads: without colours and other commands to the terminal."""
    return ESCAPE.sub("", text)
