"""Text from outside, made safe to show and short enough to fit.

Names of runs, classes and columns come from people's files: they may hold terminal escapes, marks
that turn the direction of writing, or a whole paragraph. This module must not know where the text
is shown.
"""

from __future__ import annotations

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
