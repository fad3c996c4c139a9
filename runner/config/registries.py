"""Schemas made from softnet's own settings classes.

A new optimizer is one class and one line in softnet's registry: its settings, their defaults and
their ranges are stated there, and the schema of its YAML is read off that class here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_type_hints

from pydantic import Discriminator, create_model, model_validator

from runner.config.rules import Rule, Section

T = TypeVar("T")

_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    int | None: "a whole number or null",
    float | None: "a number or null",
}


class Settings(Section, Generic[T]):
    """A section whose values are those of a settings class."""

    target: ClassVar[Callable[..., Any]]

    def settings(self) -> T:
        """Return the settings object.

        Raises
        ------
        softnet.SettingError
            If a value is out of its range.
        """
        made: T = self.target(**{key: value for key, value in self if key != "name"})
        return made

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        self.settings()
        return self


class NamedSettings(Settings[T]):
    """Settings whose class is chosen by name from a registry."""

    name: str


def schema_of(target: type, name: str | None = None, **rules: object) -> type[Settings[Any]]:
    """Make the schema of a settings class.

    Parameters
    ----------
    target : type
        A dataclass that checks its values.
    name : str, optional
        The name it goes by in its registry, a key of its own in the schema.
    **rules : annotation
        What takes the place of a field's own type.
    """
    types = get_type_hints(target)
    fields: dict[str, Any] = {} if name is None else {"name": (Literal[name], ...)}
    for field in dataclasses.fields(target):
        kind = types[field.name]
        annotation = rules.get(field.name, Annotated[kind, Rule(_TYPES.get(kind, str(kind)))])
        required = field.default is dataclasses.MISSING
        fields[field.name] = (annotation, ... if required else field.default)
    base = Settings if name is None else NamedSettings
    title = f"{target.__qualname__.replace('.', '')}Schema"
    return _aimed(create_model(title, __base__=base, **fields), target)


def _aimed(schema: type[Settings[Any]], target: Callable[..., object]) -> type[Settings[Any]]:
    schema.target = target
    return schema


def choice_of(targets: Mapping[str, type]) -> object:
    """Make the schema of one out of a registry: the key ``name`` says which."""
    schemas = [schema_of(target, name) for name, target in targets.items()]
    return Annotated[reduce(or_, schemas), Discriminator("name")]
