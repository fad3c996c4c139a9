"""What tells runs apart: the settings that vary, by names as short as they can be.

It must not know what else is told of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.report.table import Column
from runner.system.text import elide

LONGEST_NAME = 60
_LONGEST_VALUE = 32


def differing(varied: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the keys whose values differ, each with the name to show it by.

    Examples
    --------
    >>> differing([{"optimizer.learning_rate": rate, "seed": "0"} for rate in ("0.1", "0.2")])
    {'optimizer.learning_rate': 'learning_rate'}
    """
    every = dict.fromkeys(key for one in varied for key in one)
    keys = [key for key in every if len({one.get(key) for one in varied}) > 1]
    # Seeds may have been folded away, and are still known by their name.
    ends = [key.rpartition(".")[2] for key in dict.fromkeys([*keys, "seed"])]
    return {
        key: elide(end if ends.count(end) == 1 else key, _LONGEST_VALUE)  # seed and split.seed
        for key, end in zip(keys, ends, strict=False)
    }


def setting_columns(shown: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> list[Column]:
    """Make a column of each named setting."""
    return [
        Column(name, [elide(one.get(key, ""), _LONGEST_VALUE) for one in shown], "left")
        for key, name in names.items()
    ]


def in_words(varied: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Name a configuration by its settings: ``learning_rate=0.1 momentum=0.9``."""
    words = [f"{name}={varied[key]}" for key, name in names.items() if key in varied]
    return elide(" ".join(words), LONGEST_NAME) or "the defaults"
