"""Errors that a person reads: one to three lines, and an exit code.

    RunnerError
    |-- ConfigError     2   a setting: dotted key, rule, what was got
    |-- DataError       2   the data: file, line and column, what was got
    |-- CommandError    2   the command line
    |-- RecordError     2   what is on record of a run: the file or tag, and why it is of no use
    |   `-- MissingError    a file of it is not there
    |-- StoreError      3   the store or the disk: the place, and why
    |   `-- StoreLost       a tracking server that answered before, and does not now
    |-- Unrecorded      4   results are kept on disk until their server answers: how many, where
    |-- ClusterError    3   the cluster that stacks run on, when it is lost: the address, and why
    `-- RunFailed       1   a run could not be finished: the reason

    Terminated        143   SIGTERM, or 129 for SIGHUP and 131 for SIGQUIT; no Exception, like
                            KeyboardInterrupt (130), so that nothing for errors swallows it

Anything else that escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import signal
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

# From this likeness on, of 1, one name may have been meant by another.
_ALIKE = 0.6


class RunnerError(Exception):
    """The root: `str(error)` is what a person reads, `exit_code` what the shell gets."""

    exit_code: ClassVar[int] = 1


class ConfigError(RunnerError):
    """A setting that breaks its rule, which is read after "must be"."""

    exit_code = 2

    def __init__(self, key: str, rule: str, got: object, hint: str = "") -> None:
        tail = f" {hint}" if hint else ""
        super().__init__(f"{key}: must be {rule}, got {shorten(got)}.{tail}")
        self.key = key

    def __reduce__(self) -> tuple[object, ...]:
        """Be pickled by its text, on the way from a worker."""
        return ConfigError.plain, (str(self),), {"key": self.key}

    @classmethod
    def plain(cls, text: str) -> ConfigError:
        """Make an error whose text does not follow "key: must be rule, got value"."""
        error = cls.__new__(cls)
        Exception.__init__(error, text)
        error.key = ""
        return error

    @classmethod
    def unknown(
        cls, key: str, known: Collection[str], hint: str = "", name: object = None
    ) -> ConfigError:
        """Make the error for a key that its group does not have; `name` is its end as it is."""
        group, _, end = key.rpartition(".")
        name = end if name is None else name
        rule = f"a setting of {group}" if group else "a setting"
        hints = " ".join(part for part in (nearest(name, known), hint) if part)
        return cls(key, f"{rule} ({', '.join(known) or 'it has none'})", name, hints)


class DataError(RunnerError):
    """Data that cannot be used; the text names the file, the line and the column."""

    exit_code = 2


class CommandError(RunnerError):
    """A command line that cannot be carried out."""

    exit_code = 2


class RecordError(RunnerError):
    """A record of a run that cannot be used; the text names the part."""

    exit_code = 2


class MissingError(RecordError):
    """A file that a run should have, and that is not there."""


class StoreError(RunnerError):
    """A tracking store or a disk that cannot be used; the text names the place."""

    exit_code = 3


class StoreLost(StoreError):
    """A tracking server does not answer now: what is to be written waits, and is not lost."""


class Unrecorded(RunnerError):
    """Results that are whole and kept on disk, since their server does not answer."""

    exit_code = 4


class ClusterError(RunnerError):
    """A cluster that was lost while stacks ran on it; the text names its scheduler."""

    exit_code = 3


class RunFailed(RunnerError):
    """A run that cannot be carried out as it must be, for instance with BLAS on one thread."""


class Terminated(BaseException):
    """SIGTERM, SIGHUP or SIGQUIT came; raised wherever the program happens to be."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.exit_code = 128 + number


def shorten(value: object, limit: int = 120) -> str:
    """Show a value as Python would write it, cut where it would fill the screen."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; nested too deep
        return f"something too large to be shown (of type {type(value).__name__})"
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def listed(name: str, choices: Iterable[str], most: int = 8, usual: Sequence[str] = ()) -> str:
    """List the choices that are most like a name, and show that there are more.

    The `usual` ones come before those that are not much like it.

    Examples
    --------
    >>> listed("relo", ["identity", "selu", "relu"], most=2)
    'relu, selu, ...'
    """

    def rank(choice: str) -> tuple[bool, int, float]:
        likeness = difflib.SequenceMatcher(None, name, choice).ratio()
        if not usual or likeness >= _ALIKE:
            return False, 0, -likeness
        return True, usual.index(choice) if choice in usual else len(usual), -likeness

    by_likeness = sorted(choices, key=rank)
    return ", ".join([*by_likeness[:most], *["..."][: len(by_likeness) > most]])


def nearest(name: object, choices: Iterable[str]) -> str:
    """Return ``Did you mean 'relu'?`` for the closest choice, nothing where none is close."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=_ALIKE)
    return f"Did you mean {by_lower[found[0]]!r}?" if found else ""
