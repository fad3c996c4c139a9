"""Text from outside, made safe to show and short enough to fit.

Names of runs, classes and columns come from people's files: they may hold terminal escapes, marks
that turn the direction of writing, or a whole paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

# A password in an address, up to the last @ before the path, or beyond it where a password has a
# slash that is not written as %2F; digits and a slash are a port.
_PASSWORD = re.compile(r"(://[^\s/?#@:]*):([^\s/?#]*|(?!\d+/)\S*)@")
# Databases take one among the settings at the end of the address too.
_SECRET_SETTING = re.compile(
    r"([?&][^\s=&]*(?:pass|pwd|secret|token|odbc_connect)[^\s=&]*=)([^\s&#'\"]+)", re.IGNORECASE
)
# Not printable by Python's rule, yet plain parts of names: the no-break space, and the joiners
# that Persian, Hindi and emoji need.
_HARMLESS = "\u00a0\u200c\u200d"


def printable(text: object) -> str:
    r"""Spell out whatever would act on a terminal or a page instead of being shown.

    Examples
    --------
    >>> printable("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    found = str(text)
    if found.isprintable():
        return found
    return "".join(
        letter
        if letter.isprintable() or letter in _HARMLESS
        else letter.encode("unicode_escape").decode("ascii")
        for letter in found
    )


def without_passwords(text: object) -> str:
    """Leave out the passwords of the addresses in a text.

    What is left of an address can be used: MLflow and databases take a password from elsewhere too.

    Examples
    --------
    >>> without_passwords("no answer from https://ada:secret@example.org/mlflow")
    'no answer from https://ada@example.org/mlflow'
    >>> without_passwords("postgresql://ada@example.org/runs?password=secret")
    'postgresql://ada@example.org/runs?password='
    """
    return _SECRET_SETTING.sub(r"\1", _PASSWORD.sub(r"\1@", str(text)))


def without_passwords_of(address: str, text: str) -> str:
    """Leave out of a text the passwords of an address, also where they stand for themselves.

    Examples
    --------
    >>> without_passwords_of("https://ada:x%21y@example.org", "x!y and https://ada:x%21y@other")
    '*** and https://ada@other'
    """
    text = without_passwords(text)
    for found in (*_PASSWORD.finditer(address), *_SECRET_SETTING.finditer(address)):
        for password in (found[2], unquote(found[2])):
            text = text.replace(password, "***") if password else text
    return text


def on_one_line(text: str) -> str:
    r"""Make a text of any kind fit for a line.

    Examples
    --------
    >>> on_one_line("loss is not finite\nat step 3")
    'loss is not finite at step 3'
    """
    return printable(" ".join(text.split()))


def elide(text: object, limit: int) -> str:
    """Make text printable and, where it is longer than `limit`, leave out its middle.

    The end stays, because names in a row often differ there only.

    Examples
    --------
    >>> elide("a very long name, part 17", 15)
    'a very…part 17'
    """
    found = printable(text)
    if len(found) <= limit:
        return found
    tail = (limit - 1) // 2
    return f"{found[: limit - 1 - tail].rstrip()}…{found[len(found) - tail :].lstrip()}"


def elide_apart(texts: Iterable[object], limit: int) -> list[str]:
    """Elide texts to a limit, or to a longer one where two that differ would become one.

    Examples
    --------
    >>> elide_apart(["size=8 act=relu rate=0.1", "size=8 act=tanh rate=0.1"], 15)
    ['size=8 act=relu rate=0.1', 'size=8 act=tanh rate=0.1']
    """
    whole = [printable(text) for text in texts]
    n_distinct = len(set(whole))
    while len({elide(text, limit) for text in whole}) < n_distinct:
        limit *= 2
    return [elide(text, limit) for text in whole]


def first_fitting(texts: Sequence[str], limit: int) -> list[str]:
    """Return the first texts that fit into a list of a length, with commas; one at least.

    Examples
    --------
    >>> first_fitting(["Torgersen", "Biscoe", "Dream"], 20)
    ['Torgersen', 'Biscoe']
    """
    n = len(texts)
    while n > 1 and len(", ".join(texts[:n])) > limit:
        n -= 1
    return [*texts[:n]]
