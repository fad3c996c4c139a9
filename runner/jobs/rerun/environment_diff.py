"""Two environments side by side: what differs between where a run was made and here.

Reads records that anybody may have written, so it takes nothing for granted but that it is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.system.environment import digest_of_decisive
from runner.system.errors import shorten

# A record may name any number of packages, and of facts that this version does not know.
_MOST = 20
# What decides the bits, in the order of the table, and where an environment has it. BLAS, of which
# there may be several, is told apart from these.
_DECISIVE = {
    "Python": ("python",),
    "NumPy": ("numpy",),
    "SIMD": ("simd",),
    "C library": ("libc",),
    "system": ("machine", "system"),
    "architecture": ("machine", "architecture"),
    "CPU": ("machine", "cpu"),
    "code": ("code",),
}
_KNOWN = {"blas", *(path[0] for path in _DECISIVE.values())}
_NOT_ON_RECORD = "not on record"


@dataclass(frozen=True)
class EnvironmentDifference:
    """One fact that differs.

    Parameters
    ----------
    what : str
        Such as ``BLAS kernel``.
    original, here : str
        The fact then and now.
    decides : bool
        Whether it can change the bits of a result.
    """

    what: str
    original: str
    here: str
    decides: bool


def environment_differences(
    original: object,
    here: Mapping[str, object],
    digests: Iterable[tuple[str, str, str]] = (),
) -> list[EnvironmentDifference]:
    """List what two environments have that differs.

    Parameters
    ----------
    original : object
        As `environment` of `runner.system` gave it and a record kept it; None where there is none.
    here : mapping
        That of this process.
    digests : iterable of (str, str, str)
        Further facts that decide: what, then and now; an empty one is not on record.
    """
    found = [
        EnvironmentDifference(what, then or _NOT_ON_RECORD, now, decides=True)
        for what, then, now in digests
        if then != now
    ]
    decisive = _part(original, "decisive"), _part(here, "decisive")
    if original is None:
        digest = digest_of_decisive(decisive[1])
        lost = EnvironmentDifference("environment", _NOT_ON_RECORD, digest, decides=True)
        return [lost, *found]
    deciding = _differing(*map(_facts, decisive), decides=True)
    if not deciding and _canonical(decisive[0]) != _canonical(decisive[1]):
        # In a place that no row shows: what differs is never passed over in silence.
        then, now = map(digest_of_decisive, decisive)
        deciding = [EnvironmentDifference("other facts", then, now, decides=True)]
    packages = (_part(each, "packages") for each in (original, here))
    return [
        *(*found, *deciding),
        *_differing(_commit(original), _commit(here), decides=False),
        *_differing(*map(_by_name, packages), decides=False)[:_MOST],
    ]


def _differing(
    then: Mapping[str, object], now: Mapping[str, object], *, decides: bool
) -> list[EnvironmentDifference]:
    """Compare facts by name; whoever lacks one has it not on record."""
    return [
        EnvironmentDifference(what, *_told(what, then, now), decides)
        for what in dict.fromkeys([*then, *now])
        if (what in then) != (what in now) or _canonical(then[what]) != _canonical(now[what])
    ]


def _told(what: str, then: Mapping[str, object], now: Mapping[str, object]) -> tuple[str, str]:
    """Write a fact of two environments so that it can be seen to differ."""
    written = _in_a_row if what == "SIMD" else _text
    if what not in now:
        return written(then[what]), "not known"
    if what not in then:
        return _NOT_ON_RECORD, written(now[what])
    facts = then[what], now[what]
    texts = written(facts[0]), written(facts[1])
    if what == "SIMD":
        texts = simd_difference(*texts)
    if texts[0] != texts[1]:
        return texts
    quoted = shorten(facts[0]), shorten(facts[1])
    if quoted[0] != quoted[1]:  # the number 1 and the text '1'
        return quoted
    # Long, and alike where they are cut.
    return digest_of_decisive(facts[0]), digest_of_decisive(facts[1])


def _facts(decisive: Mapping[str, object]) -> dict[str, object]:
    """Return the facts that decide the bits, by what a person calls them."""
    facts: dict[str, object] = {}
    for what, (*parts, name) in _DECISIVE.items():
        place = _part(decisive, *parts)
        if name in place:
            facts[what] = place[name]
        if what == "NumPy":
            facts |= _of_blas(decisive.get("blas"))
    others = [name for name in decisive if name not in _KNOWN]
    return {_text(name): decisive[name] for name in sorted(others)[:_MOST]} | facts


def _of_blas(libraries: object) -> dict[str, object]:
    """Return what is on record of BLAS, of which an environment may have several."""
    listed = libraries if isinstance(libraries, list) else []
    several = [library for library in listed if isinstance(library, Mapping)]
    if not several:
        return {}
    return {
        "BLAS": _joined([f"{each.get('library')} {each.get('version')}" for each in several]),
        "BLAS kernel": _joined([each.get("kernel") for each in several]),
        "BLAS threads": _joined([each.get("threads") for each in several]),
    }


def _joined(values: list[object]) -> object:
    return values[0] if len(values) == 1 else " and ".join(map(_text, values))


def _commit(environment: object) -> dict[str, object]:
    git = _part(environment, "git")
    clean = {True: "clean", False: "with changes"}.get(git.get("clean") is True)
    return {"git commit": f"{_text(git.get('commit'))} {clean}" if git else "none"}


def _by_name(packages: Mapping[str, object]) -> dict[str, object]:
    return {_text(name): packages[name] for name in sorted(packages)}


def simd_difference(original: str, here: str) -> tuple[str, str]:
    """Cut two lists of features down to what only one of them has.

    Examples
    --------
    >>> simd_difference("SSE AVX2 FMA3", "SSE")
    ('with AVX2 FMA3', 'without')
    """
    then, now = original.split(), here.split()
    only_then = [feature for feature in then if feature not in now]
    only_now = [feature for feature in now if feature not in then]
    return (
        f"with {' '.join(only_then)}" if only_then else "without",
        f"with {' '.join(only_now)}" if only_now else "without",
    )


def _part(environment: object, *names: str) -> Mapping[str, object]:
    for name in names:
        environment = environment.get(name) if isinstance(environment, Mapping) else None
    return environment if isinstance(environment, Mapping) else {}


def _in_a_row(features: object) -> str:
    return " ".join(map(str, features)) if isinstance(features, list) else _text(features)


def _canonical(value: object) -> str:
    """Write a value as its digest is taken: 1, true and "1" are three things."""
    return json.dumps(value, sort_keys=True)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "none" if value is None else shorten(value)
