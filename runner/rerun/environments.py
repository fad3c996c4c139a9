"""Two environments side by side: what differs between where a run was made and here.

Reads records that anybody may have written, so it takes nothing for granted but that it is JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.errors import shorten

# A record may name any number.
_MOST_PACKAGES = 20


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
        As `runner.environment.environment` gave it, after a way through a record; None where there
        is none.
    here : mapping
        That of this process.
    digests : iterable of (str, str, str)
        Further facts that decide: what, then and now.
    """
    facts = [
        EnvironmentDifference(what, then, now, decides=True)
        for what, then, now in digests
        if then != now
    ]
    if original is None:
        return [EnvironmentDifference("environment", "not on record", "", decides=True), *facts]
    then_facts, now_facts = _facts(original), _facts(here)
    for what in dict.fromkeys([*then_facts, *now_facts]):
        then, decides = then_facts.get(what, ("", True))
        now, _ = now_facts.get(what, ("", True))
        if then != now:
            if what == "SIMD":
                then, now = simd_difference(then, now)
            facts.append(EnvironmentDifference(what, then, now, decides))
    return facts


def _facts(environment: object) -> dict[str, tuple[str, bool]]:
    """Return the facts of an environment as text, each with whether it decides the bits."""
    decisive, machine = _part(environment, "decisive"), _part(environment, "decisive", "machine")
    facts = {"Python": decisive.get("python"), "NumPy": decisive.get("numpy")}
    libraries = decisive.get("blas")
    for library in libraries if isinstance(libraries, list) else []:
        if isinstance(library, dict):
            name = f"{library.get('library')} {library.get('version')}"
            facts |= {
                "BLAS": name,
                "BLAS kernel": library.get("kernel"),
                "BLAS threads": library.get("threads"),
            }
    simd = decisive.get("simd")
    facts |= {
        "SIMD": " ".join(map(str, simd)) if isinstance(simd, list) else simd,
        "C library": decisive.get("libc"),
        "system": machine.get("system"),
        "architecture": machine.get("architecture"),
        "CPU": machine.get("cpu"),
        "code": decisive.get("code"),
    }
    told = {what: (_text(value), True) for what, value in facts.items()}
    git = _part(environment, "git")
    clean = {True: "clean", False: "with changes"}.get(git.get("clean") is True)
    told["git commit"] = (f"{_text(git.get('commit'))} {clean}" if git else "none", False)
    for package, version in sorted(_part(environment, "packages").items())[:_MOST_PACKAGES]:
        told[_text(package)] = (_text(version), False)
    return told


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


def _text(value: object) -> str:
    return value if isinstance(value, str) else "none" if value is None else shorten(value)
