"""What a run does with raw rows, read back from its record: encoding, scaling, its target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runner.system.errors import RecordError, shorten
from runner.system.text import elide
from runner.training.prepare import network_settings
from runner.training.preprocessing import Preprocessing, Scaling
from runner.training.tasks import TASKS, Target
from softnet import ACTIVATIONS, NetworkSettings

if TYPE_CHECKING:
    from runner.config.schema import Experiment

_Words = tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class _Cells(_Part):
    """The form of `CellFormat`."""

    decimal: Literal[".", ","] = "."
    missing_values: _Words = ()
    units: dict[str, str] | None = None


class _Preprocessing(_Part):
    """The form of `Preprocessing.to_dict`."""

    feature_names: Annotated[_Words, Field(min_length=1)]
    categories: dict[str, _Words]
    fitted: dict[str, tuple[int, ...]]
    scaling: Scaling
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    fill: tuple[float, ...] = ()
    flagged: _Words = ()
    pooled: _Words = ()
    dates: dict[str, str] = {}
    quantiles: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {}
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()
    cells: _Cells = _Cells()

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = self.feature_names
        if not len(set(names)) == len(names) == len(self.shift) == len(self.scale):
            raise ValueError("shift and scale must have a number for each feature name")
        if self.categories.keys() != self.fitted.keys() or not self.categories.keys() <= set(names):
            raise ValueError("categories and fitted must be of the same feature names")
        for name, codes in self.fitted.items():
            words = self.categories[name]
            if len(set(words)) != len(words):
                raise ValueError("categories must differ")
            if not codes or len(codes) != len({c for c in codes if 0 <= c < len(words)}):
                raise ValueError("fitted must hold places in categories, each once")
        if not {*self.flagged} <= set(names) or not {*self.pooled} <= self.fitted.keys():
            raise ValueError("flagged and pooled must be feature names")
        if 0.0 in self.scale:
            raise ValueError("scale must not hold 0")
        for values, normal in self.quantiles.values():
            if not values or len(values) != len(normal) or list(values) != sorted({*values}):
                raise ValueError("quantiles must be rising values, and what they become")
        return self

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        sizes = (0, len(self.feature_names))
        if len(self.fill) not in sizes:
            raise ValueError("fill must have a number for each feature name")
        if not len(self.lowest) == len(self.highest) in sizes:
            raise ValueError("lowest and highest must have a number for each feature name")
        return self


class _Model(_Part):
    """The form of `runner.training.run_files.model_settings`."""

    activation: str
    class_names: Annotated[_Words, Field(min_length=1)]
    task: str = "classification"
    shift: float = 0.0
    scale: Annotated[float, Field(gt=0)] = 1.0
    words: tuple[_Words, ...] = ()
    preprocessing: _Preprocessing

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}")
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}")
        if self.task == "classification" and len(self.class_names) < 2:
            raise ValueError("class_names must be at least 2")
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError("class_names must differ")
        if self.words and len(self.words) != len(self.class_names):
            raise ValueError("words must be those of each label")
        return self


@dataclass(frozen=True)
class RecordedModel:
    """What turns raw rows into what the network sees, and its outputs into classes.

    `activation` is that of the hidden layers.
    """

    activation: str
    target: Target
    preprocessing: Preprocessing

    @classmethod
    def parse(cls, content: bytes, name: str) -> Self:
        """Read JSON; a `RecordError` names the file and the first key that no run leaves so."""
        try:
            model = _Model.model_validate_json(content)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            key = elide(".".join(map(str, detail["loc"])), 60)
            problem = detail["msg"].removeprefix("Value error, ")
            raise RecordError(f"{name}: {key}: {shorten(problem)}.") from None
        preprocessing = Preprocessing.from_dict(model.preprocessing.model_dump())
        return cls(model.activation, Target.from_dict(model.model_dump()), preprocessing)

    def network(self, experiment: Experiment) -> NetworkSettings:
        """Return the settings of the run's network, given its config."""
        return network_settings(experiment, self.preprocessing, self.target)
