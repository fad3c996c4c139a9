"""Schemas made from softnet's registries.

A new optimizer is one class and one line in softnet's registry: its settings, their defaults and
their ranges are stated there, and the schema of its YAML is read off its settings class here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast, get_type_hints

from pydantic import Discriminator, create_model, model_validator

from runner.config.rules import Section

T = TypeVar("T")


class SettingsSection(Section, Generic[T]):
    """A section whose values are those of a settings class."""

    target: ClassVar[Callable[..., Any]]

    def settings(self) -> T:
        """Return the settings object."""
        made: T = self.target(**{key: value for key, value in self if key != "name"})
        return made

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        self.settings()
        return self


class NamedSettings(SettingsSection[T]):
    """Settings whose class is chosen by name from a registry."""

    name: str


def schema_of(target: type, name: str | None = None, **annotations: object) -> Any:  # noqa: ANN401  (made here)
    """Make the schema of a dataclass that checks its values.

    Its `name` in a registry is a key of its own; `annotations` take the place of fields' types.
    """
    types = get_type_hints(target, include_extras=True) | annotations
    fields: dict[str, Any] = {} if name is None else {"name": (Literal[name], ...)}
    for field in dataclasses.fields(target):
        required = field.default is dataclasses.MISSING
        fields[field.name] = (types[field.name], ... if required else field.default)
    base = SettingsSection if name is None else NamedSettings
    title = f"{target.__qualname__.replace('.', '')}Schema"
    schema = cast("type[SettingsSection[Any]]", create_model(title, __base__=base, **fields))
    schema.target = target
    return schema


def section_of(registry: Mapping[str, type]) -> Any:  # noqa: ANN401  (a type that is made here)
    """Make the schema of one entry of a registry: the key ``name`` says which.

    Each entry is a dataclass of settings, or has one named ``Settings``.
    """
    schemas = [schema_of(getattr(kind, "Settings", kind), name) for name, kind in registry.items()]
    if len(schemas) == 1:
        return schemas[0]  # pydantic takes no union of one
    return Annotated[reduce(or_, schemas), Discriminator("name")]


def name_in(registry: Iterable[str]) -> Any:  # noqa: ANN401  (a type that is made here)
    """Make the type of a name of a registry whose entries have no settings."""
    return Literal[tuple(registry)]
