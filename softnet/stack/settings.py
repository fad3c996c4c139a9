"""Settings that say when they are out of range, and classes that are made from settings.

A rule is one sentence of one form, so that a person who calls the network from Python and one who
writes YAML read the same words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, ClassVar

# What `field(metadata=...)` of a setting takes: its rule, and whether a value follows it.
Rule = Mapping[str, Any]
POSITIVE: Rule = {"a finite number above 0": lambda value: math.isfinite(value) and value > 0}
NOT_NEGATIVE: Rule = {
    "a finite number, 0 or above": lambda value: math.isfinite(value) and value >= 0
}
FRACTION: Rule = {"a number from 0 up to, but not, 1": lambda value: 0 <= value < 1}
NOT_EMPTY: Rule = {"at least one layer": lambda layers: len(layers) > 0}


def count_from(least: int) -> Rule:
    """Return the rule of a whole number that is at least `least`."""
    rule = f"a whole number, {least} or above"
    return {rule: lambda value: isinstance(value, Integral) and int(value) >= least}


class SettingError(ValueError):
    """A setting that breaks its rule.

    Parameters
    ----------
    setting : str
        The name of the setting, for instance ``learning_rate``.
    rule : str
        What is allowed, to be read after "must be".
    got : object
        The value that was given.
    """

    def __init__(self, setting: str, rule: str, got: object) -> None:
        super().__init__(f"{setting}: must be {rule}, got {got!r}.")
        self.setting = setting
        self.rule = rule
        self.got = got


def require(condition: bool, setting: str, rule: str, got: object) -> None:
    """Raise `SettingError` unless `condition` holds."""
    if not condition:
        raise SettingError(setting, rule, got)


@dataclass(frozen=True)
class Settings:
    """Settings whose fields have rules; None, where it is allowed, follows all of them."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            for rule, holds in each.metadata.items():
                require(value is None or holds(value), each.name, rule, value)


class HasSettings:
    """A class that is made from settings, of which each subclass has a class of its own.

    A subclass with settings says so by a frozen dataclass `Settings`; another gets one that is
    that of its base in all but its name.
    """

    Settings: ClassVar[type[Any]]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "Settings" not in vars(cls):
            # As if it were written there: it can be pickled, and shows as `ReLU.Settings()`.
            names = {
                "__module__": cls.__module__,
                "__qualname__": f"{cls.__qualname__}.Settings",
                "__doc__": cls.Settings.__doc__,
            }
            cls.Settings = type("Settings", (cls.Settings,), names)
        cls.Settings.of = cls
