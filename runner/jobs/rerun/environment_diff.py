"""Compare the environment in which a run was made with the one here.

Anybody may have edited the recorded one: all that is sure is that it is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.config.plain import flatten
from runner.system.errors import shorten
from runner.training.environment import digest_of_decisive

# A record may name any number of packages, and of facts that this version does not know.
_MAX_ROWS = 30
# What a person calls the facts that decide the bits; others go by their dotted keys.
_LABELS = {
    "python": "Python",
    "numpy": "NumPy",
    "blas.0.library": "BLAS",
    "blas.0.version": "BLAS version",
    "blas.0.kernel": "BLAS kernel",
    "blas.0.threads": "BLAS threads",
    "simd": "SIMD",
    "libc": "C library",
    "machine.system": "system",
    "machine.architecture": "architecture",
    "machine.cpu": "CPU",
}
_NOT_ON_RECORD, _NOT_KNOWN = "not on record", "not known"


@dataclass(frozen=True)
class EnvironmentDifference:
    """A fact that differs, such as ``BLAS kernel``, and whether it decides bits of the result."""

    what: str
    original: str
    here: str
    decides: bool


def environment_differences(
    original: object,
    here: Mapping[str, object],
    digests: Iterable[tuple[str, str, str]] = (),
) -> list[EnvironmentDifference]:
    """List the facts that differ between an environment on record, if there is one, and this one.

    `digests` are further facts that decide: what, then and now; an empty one is not on record.
    """
    rows = []
    for what, then, now in digests:
        # A table shows their beginnings, unless those are alike.
        texts = (then, now) if then[:16] == now[:16] else (then[:16] or _NOT_ON_RECORD, now[:16])
        if then != now:
            rows.append(EnvironmentDifference(what, *texts, decides=True))
    if original is None:
        digest = digest_of_decisive(_group(here, "decisive"))
        return [EnvironmentDifference("environment", _NOT_ON_RECORD, digest, decides=True), *rows]
    for facts, decides in ((_decisive, True), (_commit, False), (_packages, False)):
        rows += _differing(facts(original), facts(here), decides=decides)
    return rows


def _differing(
    then: Mapping[str, object], now: Mapping[str, object], *, decides: bool
) -> list[EnvironmentDifference]:
    """Compare facts by name."""

    def as_json(facts: Mapping[str, object], name: str) -> str:
        # In which 1, true and "1" are three values.
        return json.dumps(facts[name]) if name in facts else ""

    names = dict.fromkeys([*now, *then])
    differing = [name for name in names if as_json(then, name) != as_json(now, name)]
    return [
        EnvironmentDifference(name, *_texts(name, then.get(name), now.get(name)), decides)
        for name in differing[:_MAX_ROWS]
    ]


def _texts(what: str, then: object, now: object) -> tuple[str, str]:
    """Write two facts so that one sees how they differ; None is one that is missing."""
    if what == "SIMD" and isinstance(then, list) and isinstance(now, list):
        return simd_difference(*(list(map(str, features)) for features in (then, now)))
    for write in (_text, shorten):
        texts = (
            _NOT_ON_RECORD if then is None else write(then),
            _NOT_KNOWN if now is None else write(now),
        )
        if texts[0] != texts[1]:
            break
    return texts


def simd_difference(original: list[str], here: list[str]) -> tuple[str, str]:
    """Cut two lists of features down to what only one of them has.

    Examples
    --------
    >>> simd_difference(["SSE", "AVX2", "FMA3"], ["SSE"])
    ('with AVX2 FMA3', 'without')
    """

    def beyond(features: list[str], others: list[str]) -> str:
        only = [feature for feature in features if feature not in others]
        return " ".join(["with", *only]) if only else "without"

    return beyond(original, here), beyond(here, original)


def _decisive(environment: object) -> dict[str, object]:
    """Return the facts that decide the bits, by what a person calls them."""
    facts = dict(_group(environment, "decisive"))
    if isinstance(libraries := facts.get("blas"), list):
        facts["blas"] = dict(enumerate(libraries))
    return {_LABELS.get(name, name): fact for name, fact in flatten(facts).items()}


def _commit(environment: object) -> dict[str, object]:
    git = _group(environment, "git")
    state = "clean" if git.get("clean") is True else "with changes"
    return {"git commit": f"{_text(git.get('commit'))} {state}" if git else "none"}


def _packages(environment: object) -> dict[str, object]:
    packages = _group(environment, "packages")
    return {str(name): packages[name] or "none" for name in sorted(packages)}


def _group(environment: object, name: str) -> Mapping[str, object]:
    group = environment.get(name) if isinstance(environment, Mapping) else None
    return group if isinstance(group, Mapping) else {}


def _text(value: object) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return value if isinstance(value, str) else shorten(value)
