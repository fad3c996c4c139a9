"""How a sweep chooses its jobs: the settings of a search, and the dimensions that it draws from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from runner.config.rules import Count, Section, Seed, explain_validation
from softnet import SettingError


class _Search(Section):
    """What all kinds have."""

    # Whether results decide what is run.
    decides: ClassVar[bool] = False
    # Whether they propose further jobs.
    proposes: ClassVar[bool] = False

    name: str
    refit: bool = False


class GridSearch(_Search):
    """Every combination of the values."""

    name: Literal["grid"] = "grid"


class DrawnSearch(_Search):
    """Points of ranges and choices."""

    n_trials: Count
    seed: Seed = 0


class SampledSearch(DrawnSearch):
    """Points that are drawn before the first job starts."""

    name: Literal["random", "sobol"]


class HalvingSearch(DrawnSearch):
    """Successive halving: at each rung only the best go on."""

    decides: ClassVar[bool] = True

    name: Literal["halving"]
    n_trials: Annotated[int, Field(ge=2)]
    points: Literal["random", "sobol"] = "sobol"
    reduction: Annotated[int, Field(ge=2)] = 3
    min_share: Annotated[float, Field(gt=0, lt=1, description="a share above 0 and below 1")] = 0.1

    @property
    def shares(self) -> list[Fraction]:
        """The shares of the budget after which there is a rung: 1/reduction, 1/reduction**2, ..."""
        shares, share = list[Fraction](), Fraction(1, self.reduction)
        while float(share) >= self.min_share:
            shares.insert(0, share)
            share /= self.reduction
        return shares

    def rungs(self, budget: int, every: int) -> list[int]:
        """Return where each rung lies: at the first evaluation after its share of the budget.

        All are in one unit, steps or epochs: the `budget`, from one evaluation to the next, a rung.
        """
        n_evaluations = -(-budget // every)
        return [math.ceil(n_evaluations * share) * every for share in self.shares]

    @model_validator(mode="after")
    def _check_share(self) -> Self:
        if not self.shares:
            rule = f"at most 1/{self.reduction}, the share after which the last rung comes"
            raise SettingError("min_share", rule, self.min_share)
        return self


class OptunaSearch(DrawnSearch):
    """Points that Optuna's TPE proposes, some at a time."""

    decides: ClassVar[bool] = True
    proposes: ClassVar[bool] = True

    name: Literal["optuna"]
    batch: Count = 16


SearchConfig = Annotated[
    GridSearch | SampledSearch | HalvingSearch | OptunaSearch, Discriminator("name")
]
# They take ranges.
SEARCHES = ("random", "sobol", "halving", "optuna")


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Dimension:
    """A setting that is searched: some `choices`, as overrides write them, or an interval."""

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False
    is_int: bool = False

    @property
    def size(self) -> float:
        """How many values it has, of an interval at least: as many as doubles tell apart."""
        if self.choices:
            return len(self.choices)
        ends = [(self.low, self.high)]
        if self.is_log:
            ends.append((math.log(self.low), math.log(self.high)))
        sizes = [(high - low) // math.ulp(max(-low, high)) + 1 for low, high in ends]
        return min([*sizes, self.high - self.low + 1] if self.is_int else sizes)

    def value(self, share: float) -> str:
        """Return the value that lies at a share, 0 to below 1, of the way, as an override has it.

        Whole numbers are equally likely, each with half a unit to either side on a log scale.
        """
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        low, high = self.low, self.high
        if self.is_int:
            low, high = (low - 0.5, high + 0.5) if self.is_log else (low, high + 1)
        if self.is_log:
            number = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            number = low + share * (high - low)
        if self.is_int:
            number = math.floor(number + 0.5) if self.is_log else math.floor(number)
        number = min(max(number, self.low), self.high)
        return str(int(number)) if self.is_int else repr(float(number))


class SearchRecord(Section):
    """What a search is repeated by: its settings, the metric that chose, its dimensions."""

    search: SearchConfig = Field(default=GridSearch())
    metric: str = ""
    space: tuple[Dimension, ...] = ()


def search_of(values: Mapping[str, Any]) -> SearchConfig:
    """Check the section ``search`` alone; raise `ConfigError` for what is wrong in it."""
    try:
        return SearchRecord.model_validate({"search": dict(values)}).search
    except ValidationError as error:
        raise explain_validation(error, SearchRecord) from None
