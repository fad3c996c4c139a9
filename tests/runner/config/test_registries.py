"""Schemas are read off softnet's settings: a new optimizer needs no word about it in the runner."""

import dataclasses
from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from runner.config.plain import to_plain
from runner.config.registries import name_in, section_of
from runner.config.rules import Section, explain_validation
from softnet import OPTIMIZERS, SCHEDULES, SGD, SettingError
from tests.runner.config.tutorial import experiment


@pytest.mark.parametrize(
    ("group", "registry"), [("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)]
)
def test_every_registered_name_has_a_schema(group: str, registry: dict[str, Any]):
    for name, kind in registry.items():
        target = getattr(kind, "Settings", kind)
        required = {
            field.name: 0.5
            for field in dataclasses.fields(target)
            if field.default is dataclasses.MISSING
        }
        made = experiment(**{group: {"name": name, **required}})
        assert getattr(made, group).settings() == target(**required)
        assert set(to_plain(made)[group]) == {"name", *(f.name for f in dataclasses.fields(target))}


@dataclasses.dataclass(frozen=True)
class New:
    """The settings of an entry that a registry may get."""

    rate: float
    rho: float = 0.9
    size: int | None = None
    exact: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        if not self.rho < 1:
            raise SettingError("rho", "below 1", self.rho)


class Whole(Section):
    """A config with sections from registries, and a list of such sections."""

    one: section_of({"new": New})  # type: ignore[valid-type]  # made when the program runs
    two: section_of({"sgd": SGD, "new": New})  # type: ignore[valid-type]  # likewise
    many: Annotated[tuple[section_of({"sgd": SGD, "new": New}), ...], Field(strict=False)] = ()  # type: ignore[valid-type]  # likewise
    named: name_in(["relu", "tanh"]) = "relu"  # type: ignore[valid-type]  # likewise


def test_new_entry_is_one_class_and_one_registry_line():
    new = {"name": "new", "rate": 1}
    made = Whole.model_validate({"one": new, "two": new, "many": [new, {**new, "rho": 0.5}]})
    assert made.one.settings() == made.two.settings() == New(1.0)
    assert [layer.settings() for layer in made.many] == [New(1.0), New(1.0, 0.5)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"two": {"rho": 2.0}}, "two.rho: must be below 1, got 2.0."),
        ({"one": {"rho": 2.0}}, "one.rho: must be below 1, got 2.0."),
        ({"two": {"rate": "fast"}}, "two.rate: must be a number, got 'fast'."),
        ({"two": {"size": 1.5}}, "two.size: must be a whole number or null, got 1.5."),
        ({"two": {"exact": 1}}, "two.exact: must be true or false, got 1."),
        ({"two": {"note": 1}}, "two.note: must be text, got 1."),
        ({"one": {"name": "old"}}, "one.name: must be one of new, got 'old'."),
        ({"two": {"name": "nwe"}}, "two.name: must be one of sgd, new, got 'nwe'. Did you mean"),
        ({"two": {"rat": 1}}, "two.rat: must be a setting of two (name, rate, rho, size, "),
        ({"many": [{}, {"rho": 1.5}]}, "many[1].rho: must be below 1, got 1.5."),
        ({"many": [{"rate": None}]}, "many[0].rate: must be a number, got None."),
        ({"many": [{"name": "x"}]}, "many[0].name: must be one of sgd, new, got 'x'."),
        ({"named": "rleu"}, "named: must be one of relu, tanh, got 'rleu'. Did you mean 'relu'?"),
        ({"named": 3}, "named: must be one of relu, tanh, got 3."),
    ],
)
def test_wrong_setting_of_an_entry_is_named_as_any_other(wrong: dict[str, Any], message: str):
    new = {"name": "new", "rate": 1}
    values: dict[str, Any] = {"one": new, "two": new}
    for key, value in wrong.items():
        values[key] = [{**new, **item} for item in value] if isinstance(value, list) else value
        values[key] = {**new, **value} if isinstance(value, dict) else values[key]
    with pytest.raises(ValidationError) as refused:
        Whole.model_validate(values)
    assert str(explain_validation(refused.value, Whole)).startswith(message)
