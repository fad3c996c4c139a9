"""What varied in a sweep: which of it is numbers, and how it is called.

It must not know what came out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from runner.system.text import elide

# Between these, distances, ratios and squares of numbers are numbers too.
_SMALLEST, _LARGEST = 1e-150, 1e150
_LONGEST_KEY, _LONGEST_VALUE, _LONGEST_LABEL, _LONGEST_FILE = 24, 20, 64, 60


class Settings:
    """The settings of some configurations, by dotted key.

    Parameters
    ----------
    varied : sequence of mappings of str to str
        What each of them set; one may lack what others have.
    """

    def __init__(self, varied: Sequence[Mapping[str, object]]) -> None:
        self._texts = [{key: str(value) for key, value in each.items()} for each in varied]
        keys = dict.fromkeys(key for each in self._texts for key in each if key != "seed")
        #: Those with at least two values, in order of appearance.
        self.keys = [key for key in keys if len({each.get(key) for each in self._texts}) > 1]
        found = ((key, self._numbers(key)) for key in self.keys)
        #: For the keys whose values are all numbers: these, of shape (n_configurations,), with
        #: inf for those that no axis can have.
        self.numbers = {key: values for key, values in found if values is not None}

    def _numbers(self, key: str) -> NDArray[np.float64] | None:
        values = [_number(each.get(key, "")) for each in self._texts]
        if any(map(math.isnan, values)) or len({*filter(math.isfinite, values)}) < 2:
            return None
        return np.array(values)

    def others(self, *keys: str) -> list[str]:
        """Return what varies beside some keys."""
        return [key for key in self.keys if key not in keys]

    def groups(self, keys: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
        """Put together the positions that agree in some keys, the smallest values first."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for position, each in enumerate(self._texts):
            groups.setdefault(tuple(each.get(key, "") for key in keys), []).append(position)
        return dict(sorted(groups.items(), key=lambda item: [*map(_order, item[0])]))

    def name(self, key: str) -> str:
        """Call a key by its last part, or in full where another key ends alike."""
        return elide(self._short(key), _LONGEST_KEY)

    def _short(self, key: str) -> str:
        # What is folded away is still known by its name.
        ends = [other.rpartition(".")[2] for other in [*self.keys, "seed"]]
        end = key.rpartition(".")[2]
        return end if ends.count(end) == 1 else key

    def label(self, position: int, keys: Iterable[str]) -> str:
        """Write what a configuration set, such as ``learning_rate=0.1, momentum=0.9``."""
        each = self._texts[position]
        told = [
            f"{self.name(key)}={elide(each.get(key, 'default'), _LONGEST_VALUE)}" for key in keys
        ]
        return elide(", ".join(told), _LONGEST_LABEL)

    def file_names(self) -> dict[str, str]:
        """Give each key a word that is safe in the name of a file, and no other key's."""
        words: dict[str, str] = {}
        for key in self.keys:
            plain = re.sub(r"[^A-Za-z0-9_-]+", "_", self._short(key)).strip("_")[:_LONGEST_FILE]
            word, number = plain or "setting", 2
            while word.lower() in {taken.lower() for taken in words.values()}:
                word, number = f"{plain or 'setting'}_{number}", number + 1
            words[key] = word
        return words


def _number(text: str) -> float:
    """Read a number; NaN stands for what is none, inf for one that cannot be drawn."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    drawable = value == 0.0 or _SMALLEST < abs(value) < _LARGEST
    return value if drawable or math.isnan(value) else math.inf


def _order(text: str) -> tuple[bool, float, str]:
    """Sort numbers by their size, before all words."""
    is_word = math.isnan(_number(text))
    return (True, 0.0, text) if is_word else (False, float(text), text)
