"""Schemas are read off softnet's settings: a new optimizer needs no word about it in the runner."""

import dataclasses
from typing import Any

import pytest
from pydantic import TypeAdapter

from runner.config import to_plain
from runner.config.registries import choice_of
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


def test_new_optimizer_is_one_class_and_one_registry_line():
    @dataclasses.dataclass(frozen=True)
    class Settings:
        learning_rate: float
        rho: float = 0.9

        def __post_init__(self) -> None:
            if not self.rho < 1:
                raise SettingError("rho", "below 1", self.rho)

    schema: TypeAdapter[Any] = TypeAdapter(choice_of({"sgd": SGD.Settings, "new": Settings}))
    made = schema.validate_python({"name": "new", "learning_rate": 0.1})
    assert made.settings() == Settings(0.1)
    with pytest.raises(ValueError, match="below 1"):
        schema.validate_python({"name": "new", "learning_rate": 0.1, "rho": 2.0})
    with pytest.raises(ValueError, match="must be a number"):
        schema.validate_python({"name": "new", "learning_rate": "fast"})
