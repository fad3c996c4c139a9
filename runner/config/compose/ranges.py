"""Ranges of a search, in the grammar that Hydra's Optuna sweeper reads, as dimensions.

``interval(a, b)``, ``tag(log, interval(a, b))``, ``int(interval(a, b))``, choices and ``range()``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from types import NoneType

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf

from runner.config.compose.job import Job
from runner.config.compose.overrides import check_size
from runner.config.rules import types_of
from runner.config.schema import Experiment
from runner.config.search import (
    SEARCHES,
    Dimension,
    DrawnSearch,
    GridSearch,
    search_of,
)
from runner.system.errors import ConfigError

# Draws the points of a search: the values of each by the dimensions' keys.
Draw = Callable[[Sequence[Dimension], DrawnSearch], Sequence[dict[str, str]]]
_MOST_KINDS = 1000
# What is drawn lies between the ends of an interval.
_ENDS = (2.0**-53, 1 - 2.0**-53)
# Each trial is run for all their values.
_CROSSED = ("seed", "split.fold", "split.seed")


class Space:
    """What a search draws from, and how its points become jobs.

    `make` gives None for overrides whose job Hydra would have to compose.
    """

    def __init__(self, dimensions: Sequence[Dimension], fixed: Sequence[Sequence[str]]) -> None:
        self.dimensions = tuple(dimensions)
        self.make: Callable[[Sequence[str]], Job | None] = lambda _: None
        self.n_jobs = 0
        # A job for each choice and each end of an interval, none of which is run.
        self.ends: Sequence[Job] = ()
        self._fixed = fixed

    def overrides(self, point: Mapping[str, str]) -> list[list[str]]:
        """Return the overrides of each job of a point: one for all its seeds and folds."""
        values = [f"{key}={value}" for key, value in point.items()]
        return [[*rest, *values] for rest in itertools.product(*self._fixed)]

    def kinds(self) -> list[list[str]]:
        """Return the overrides of a job for each combination of options of config groups."""
        lists = [
            [f"{each.key}={value}" for value in each.choices]
            if each.choices and "." not in each.key
            else [f"{each.key}={each.value(0)}"]
            for each in self.dimensions
        ]
        n_kinds = math.prod(map(len, lists))
        if n_kinds > _MOST_KINDS:
            raise ConfigError("search", f"of at most {_MOST_KINDS:,} kinds of jobs", n_kinds)
        first = [values[0] for values in self._fixed]
        return [[*first, *values] for values in itertools.product(*lists)]

    def at_ends(self) -> list[list[str]]:
        """Return the overrides of a job for each choice and each end of an interval."""
        ends = {each.key: each.choices or [*map(each.value, _ENDS)] for each in self.dimensions}
        first = {key: values[0] for key, values in ends.items()}
        points = [first | {key: value} for key, values in ends.items() for value in values]
        return [self.overrides(point)[0] for point in points]

    def jobs(self, point: Mapping[str, str]) -> list[Job]:
        """Make the jobs of a point."""
        jobs = [self.make(overrides) for overrides in self.overrides(point)]
        if None in jobs:
            raise ConfigError("search", "over plain values and options of groups", dict(point))
        return [job for job in jobs if job is not None]


def points(
    overrides: Sequence[Override], config: DictConfig, draw: Draw | None, spaces: list[Space]
) -> list[list[str]] | None:
    """Return the overrides of each job of a search; None for a grid, which is Hydra's to split.

    The search is added to `spaces`. Raises `ConfigError` or `CommandError` for a wrong range or
    setting of the search, or too many jobs.
    """
    _require_one_search(overrides)
    search = search_of(OmegaConf.to_container(config.search, resolve=True))  # type: ignore[arg-type]  # a section
    if isinstance(search, GridSearch):
        for override in overrides:
            if isinstance(override.value(), IntervalSweep):
                takers = "|".join(SEARCHES)
                rule = f"choices or range() with search=grid (search={takers} take an interval)"
                raise ConfigError.plain(f"{_key(override)}: must be {rule}, got {_text(override)}.")
        check_size(overrides)
        return None
    dimensions: list[Dimension] = []
    fixed: list[list[str]] = []
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override() and key not in _CROSSED:
            dimensions.append(_dimension(override, config))
        elif isinstance(override.value(), IntervalSweep):
            raise ConfigError.plain(
                f"{key}: must be choices or range(), for each of which every trial is run, got "
                f"{_text(override)}."
            )
        elif override.is_sweep_override():
            fixed.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            fixed.append([f"{key}={override.get_value_element_as_str()}"])
    require_room(dimensions, search.n_trials)
    crossed = [o for o in overrides if o.get_key_element() in _CROSSED]
    check_size(crossed, search.n_trials)
    if draw is None:
        raise ValueError("a search takes somebody who draws its points")
    space = Space(dimensions, fixed)
    spaces.append(space)
    drawn = [job for point in draw(dimensions, search) for job in space.overrides(point)]
    space.n_jobs = len(drawn)
    return [*drawn, *space.at_ends(), *(space.kinds() if search.proposes else ())]


def _require_one_search(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.is_sweep_override() and override.key_or_group.partition(".")[0] == "search":
            rule = f"one value for the whole sweep, got {_text(override)}"
            raise ConfigError.plain(f"{_key(override)}: must be {rule}.")


def require_room(dimensions: Sequence[Dimension], n_trials: int) -> None:
    """Raise `ConfigError` if there are fewer points than trials."""
    if not dimensions:
        raise ConfigError("search.n_trials", "beside a range or choices to draw from", n_trials)
    size = math.prod(dimension.size for dimension in dimensions)
    if n_trials > size:
        rule = f"at most {size:,.0f}, the number of points that there are"
        raise ConfigError("search.n_trials", rule, n_trials)


def _dimension(override: Override, config: DictConfig) -> Dimension:
    key, value = override.get_key_element(), override.value()
    # Of a plugin's own setting the schema knows nothing, but its value has a type.
    present = OmegaConf.select(config, override.key_or_group)
    kinds = types_of(Experiment, override.key_or_group) or {type(present)} - {NoneType}
    if not isinstance(value, IntervalSweep):
        distinct: dict[str | float, str] = {}  # of 1 and 1.0 one, where that is a number
        for text in override.sweep_string_iterator():
            distinct.setdefault(_number(text) if float in kinds else text, text)
        if not distinct:
            check_size([override])
            raise ConfigError.plain(
                f"{_key(override)}: must have at least one choice, got a glob that finds nothing."
            )
        return Dimension(key, tuple(distinct.values()))
    low, high = (0.0 if end is None else end for end in (value.start, value.end))
    is_log = "log" in value.tags
    is_int = isinstance(low, int)
    if kinds and not kinds & {int, float}:
        raise ConfigError.plain(f"{_key(override)}: must be choices, got an interval of numbers.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        rule = "an interval from a number to a larger one"
        raise ConfigError.plain(f"{_key(override)}: must be {rule}, got {_text(override)}.")
    if is_log and low <= 0:
        rule = "above 0 from end to end for a log scale"
        raise ConfigError.plain(f"{_key(override)}: must be {rule}, got {_text(override)}.")
    if kinds and float not in kinds and not is_int:
        rule = f"of whole numbers, int({_text(override)})"
        raise ConfigError.plain(f"{_key(override)}: must be {rule}, got {_text(override)}.")
    return Dimension(key, (), low, high, is_log, is_int)


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _key(override: Override) -> str:
    return override.get_key_element().lstrip("+")


def _text(override: Override) -> str:
    return (override.input_line or "").partition("=")[2]
