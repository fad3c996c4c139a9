"""Standard streams that outlast their reader: `runner ... | head -1` still trains and records."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from runner.system.errors import StoreError


class _RobustStream(io.TextIOWrapper):
    """Text output that goes on into the null device once its pipe or terminal is gone."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._discard_the_rest(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._discard_the_rest(error)

    def _discard_the_rest(self, error: OSError) -> None:
        """Write into nothing from now on; say what the disk said, once, where it is one."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)
        if not (self.line_buffering or isinstance(error, BrokenPipeError)):
            reason = (error.strerror or "failed").lower()
            raise StoreError(f"the output: cannot be written: {reason}") from None


def install_robust_streams() -> None:
    """Put streams in place of the standard ones that neither close nor fail to encode."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else the first file that is opened, a database maybe, would take the number.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _robust(sys.stdout, 1)
    sys.stderr = _robust(sys.stderr, 2)


def _robust(stream: TextIO | None, number: int) -> _RobustStream:
    # On the file's number, so that the stream it takes the place of stays as it is.
    raw = open(number, "wb", closefd=False)  # noqa: SIM115  (lasts as long as the process)
    encoding = (stream and stream.encoding) or "utf-8"
    by_line = number == 2 or raw.isatty()  # as Python has it: messages do not wait
    return _RobustStream(raw, encoding, "backslashreplace", line_buffering=by_line)
