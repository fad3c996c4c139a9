"""Overrides: read as Hydra reads them, counted before a sweep is made of them, and applied.

Hydra's parser needs a third of a millisecond for ``seed=7``. So each text is parsed once, and a
number for a key that was parsed before needs no parser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Override,
    OverrideType,
    RangeSweep,
    ValueType,
)
from hydra.errors import HydraException, OverrideParseException

from runner.config.compose.hydra_errors import explain_composition
from runner.system.errors import CommandError, nearest

# The numbers of Hydra's grammar (INT, FLOAT) that sweeps use.
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Each job takes some 10 KiB and, to plan, a fifth of a millisecond.
_LARGEST_SWEEP = 1_000_000


class Reader:
    """Parses overrides, each text once."""

    def __init__(self) -> None:
        self._parser = OverridesParser.create()
        self._by_text: dict[str, Override] = {}
        self._by_key: dict[str, Override] = {}

    def read(self, text: str) -> Override:
        """Return what Hydra's parser makes of an override, such as ``seed=7``."""
        override = self._by_text.get(text)
        if override is None:
            override = self._by_text[text] = self._read(text)
        return override

    def _read(self, text: str) -> Override:
        # A key holds no equals sign.
        key, _, value = text.partition("=")
        similar, number = self._by_key.get(key), _NUMBER.fullmatch(value)
        if similar is None or number is None:
            override = self._by_key[key] = self._parser.parse_override(text)
            return override
        parsed = float(value) if number[1] or number[2] else int(value)
        return replace(similar, _value=parsed, value_type=ValueType.ELEMENT, input_line=text)


def with_quotes(argument: str) -> str:
    """Quote the words of an override that have letters beyond ASCII, which Hydra does not read.

    Examples
    --------
    >>> with_quotes("data.drop=[Größe in cm, age]")
    "data.drop=['Größe in cm', age]"
    """
    key, _, value = argument.partition("=")
    if value.isascii() or key.startswith("-") or re.search("[\"'()\\\\$]", value):
        return argument
    quoted = re.sub(r"[^\s,:\[\]{}]([^,:\[\]{}]*[^\s,:\[\]{}])?", _quote_beyond_ascii, value)
    return f"{key}={quoted}"


def _quote_beyond_ascii(word: re.Match[str]) -> str:
    return word[0] if word[0].isascii() else f"'{word[0]}'"


def path(override: Override) -> list[str]:
    """Return the names that lead to the setting of an override."""
    return override.key_or_group.split(".")


def overlap(one: Override, other: Override) -> bool:
    """Tell whether two overrides write the same setting, or one into what the other writes."""
    return all(a == b for a, b in zip(path(one), path(other), strict=False))


def sets_plain_value(override: Override) -> bool:
    """Tell whether an override only exchanges plain data, or chooses from a group."""
    return (
        override.type is OverrideType.CHANGE
        and override.package is None
        and not override.is_hydra_override()
        and _is_plain(override.value())
    )


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return "${" not in value and value != "???"
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float)


def check_size(overrides: Iterable[Override], n_trials: int = 1) -> int:
    """Count the jobs of a sweep without making any; what a glob finds counts once.

    Each of `n_trials` points of a search is run for all values of the overrides. Raises
    `CommandError` if there are none, or too many to be planned.
    """
    n_values: dict[str, float] = {}
    for override in overrides:
        found = n_values[override.get_key_element()] = _n_values(override)
        if not found:
            raise CommandError(
                f"{override.input_line}: must have at least one value, for the sweep to have at "
                "least one job, got an empty list of values."
            )
    n_jobs = n_trials * math.prod(n_values.values())
    if n_jobs > _LARGEST_SWEEP:
        got = "no end of them" if math.isinf(n_jobs) else f"{n_jobs:,}"
        raise CommandError(f"the sweep: must have at most {_LARGEST_SWEEP:,} jobs, got {got}.")
    return int(n_jobs)


def _n_values(override: Override) -> float:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if not isinstance(value, RangeSweep):
        return 1
    if not value.step:
        raise CommandError(f"{override.input_line}: must have a step other than 0, got 0.")
    n_steps = -(-((value.stop or 0) - (value.start or 0)) // value.step)  # rounded up
    return math.inf if math.isnan(n_steps) else max(int(n_steps), 0)


def apply_overrides(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a recorded config with other values; nothing is composed or resolved.

    Raises `CommandError` or `ConfigError` if an override is none in Hydra's grammar, or does more
    than to change a value.
    """
    result = dict(config)
    reader = Reader()
    for text in map(with_quotes, overrides):
        try:
            override = reader.read(text)
        except HydraException as error:
            raise explain_composition(
                OverrideParseException(text, str(error)), overrides
            ) from error
        _require_one_value(override, text)
        *groups, key = path(override)
        _require_known([*groups, key][0], text, config)
        section = result
        for name in groups:
            inner = section.get(name)
            section[name] = section = dict(inner) if isinstance(inner, dict) else {}
        value = override.value()
        if isinstance(section.get(key), dict) and not isinstance(value, dict | None):
            names = list(section[key])[:2]
            whole = ", ".join(f"{name}: ..." for name in names)
            dotted = override.key_or_group
            raise CommandError(
                f"{text}: must be single settings ({dotted}.{names[-1]}=...) or a whole group "
                f"('{dotted}={{{whole}}}'): no file of conf/ is composed into what is on record."
            )
        section[key] = value
    return result


def _require_one_value(override: Override, text: str) -> None:
    if override.is_sweep_override():
        raise CommandError(f"{text}: must be one value; runner --multirun sweeps over several.")
    holds_group = override.type is OverrideType.CHANGE and isinstance(override.value(), dict)
    if not (holds_group or sets_plain_value(override)):
        raise CommandError(
            f"{text}: must put a plain value in a place (key=value) to change what is on record."
        )


def _require_known(name: str, text: str, config: Mapping[str, Any]) -> None:
    """Refuse keys that only a composed config has, such as ``experiment``."""
    if name not in config:
        hint = nearest(name, config)
        raise CommandError(
            f"{text}: must change a setting ({', '.join(config)}): no file of conf/ is composed "
            f"into what is on record.{' ' + hint if hint else ''}"
        )
