"""How a setting says that it is out of range.

Every class with settings checks its own, in one sentence of one form, so that a person who calls
the network from Python and one who writes YAML read the same words.
"""

from __future__ import annotations

import math
from numbers import Integral


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


def require_positive(setting: str, value: float) -> None:
    """Raise `SettingError` unless `value` is finite and greater than 0."""
    require(math.isfinite(value) and value > 0, setting, "a finite number above 0", value)


def require_not_negative(setting: str, value: float) -> None:
    """Raise `SettingError` unless `value` is finite and at least 0."""
    require(math.isfinite(value) and value >= 0, setting, "a finite number, 0 or above", value)


def require_fraction(setting: str, value: float) -> None:
    """Raise `SettingError` unless `value` lies in [0, 1)."""
    require(0 <= value < 1, setting, "a number from 0 up to, but not, 1", value)


def require_count(setting: str, value: int, least: int) -> None:
    """Raise `SettingError` unless the whole number `value` is at least `least`."""
    whole = isinstance(value, Integral)
    require(whole and value >= least, setting, f"a whole number, {least} or above", value)
