"""From pydantic's errors to what a person reads: dotted key, what is allowed, what was got."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

from runner.system.errors import ConfigError, nearest, shorten
from runner.system.text import elide
from softnet import SettingError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MOST_LINES = 3
_LONGEST_KEY = 60
# Groups whose files take effect at the top only if their first line says so.
_GLOBAL_GROUPS = ("experiment", "local")
_CHOICE = re.compile(r"write (\w+)=\.\.\.")


def explain(error: ValidationError, model: type[BaseModel]) -> ConfigError:
    """Translate the first three errors, a line each.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    model : type
        The model that was validated.
    """
    details = error.errors(include_url=False)
    lines = [str(_line(detail, model)) for detail in details[:_MOST_LINES]]
    if len(details) > _MOST_LINES:
        lines[-1] += f" ({len(details) - _MOST_LINES} more are wrong.)"
    return ConfigError.plain("\n".join(lines))


def without_groups(error: ConfigError) -> ConfigError:
    """Say it to somebody for whom no file of a group is composed, and who has to write it out."""
    return ConfigError.plain(_CHOICE.sub(r"write '\1={name: ...}'", str(error)))


def _line(detail: ErrorDetails, model: type[BaseModel]) -> ConfigError:
    key, known = _place(detail["loc"], model)
    got, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "rule":
            error = ConfigError(key, context["rule"], got, context["hint"])
        case "value_error":
            error = _out_of_range(key, context["error"])
        case "extra_forbidden":
            error = _unknown(key, known, detail["loc"][-1])
        case "invalid_key":
            error = ConfigError("the config", "text wherever there is a key", detail["loc"][-1])
        case "missing":
            error = ConfigError.plain(f"{key}: must be given, got nothing.")
        case "union_tag_invalid":
            error = _unknown_choice(key, context["tag"], context["expected_tags"])
        case "union_tag_not_found" if isinstance(got, dict):
            error = ConfigError.plain(f"{key}.name: must be given, got nothing.")
        case "model_type" | "model_attributes_type" | "union_tag_not_found":
            error = ConfigError(key or "the config", "a group of settings", got)
        case _:
            error = ConfigError.plain(f"{key}: {detail['msg']}, got {shorten(got)}.")
    return error


def _out_of_range(key: str, error: ValueError) -> ConfigError:
    if isinstance(error, SettingError):
        return ConfigError(f"{key}.{error.setting}".lstrip("."), error.rule, error.got)
    return ConfigError.plain(f"{key}: {error}")


def _unknown(key: str, known: Collection[str], got: object) -> ConfigError:
    if key in _GLOBAL_GROUPS:
        return ConfigError.plain(
            f"{key}: must take effect at the top, got settings inside {key!r}. "
            f"Its file must begin with the line: # @package _global_"
        )
    hint = ""
    group, _, name = key.rpartition(".")
    if group and "name" in known and not nearest(name, known):
        hint = f"To choose another {group} with its own settings, write {group}=..."
    return ConfigError.unknown(key, known, hint, got)


def _unknown_choice(key: str, name: str, expected: str) -> ConfigError:
    choices = [tag.strip().strip("'") for tag in expected.split(",")]
    return ConfigError(f"{key}.name", f"one of {', '.join(choices)}", name, nearest(name, choices))


def _place(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, Collection[str]]:
    """Turn pydantic's location into a dotted key, and say which keys its section knows.

    In a union of sections, pydantic puts the name of the one that was chosen into the location;
    a person has not written it as a key.
    """
    key = ""
    sections: list[type[BaseModel]] = [model]
    known: Collection[str] = ()
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif len(sections) > 1:
            sections = [s for s in sections if part in get_args(s.model_fields["name"].annotation)]
        else:
            # A key may come from a record that anybody has written.
            key = f"{key}.{elide(part, _LONGEST_KEY)}".removeprefix(".")
            known = sections[0].model_fields if sections else ()
            field = sections[0].model_fields.get(part) if sections else None
            sections = _sections(field.annotation) if field else []
    return key, known


def _sections(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [section for part in get_args(annotation) for section in _sections(part)]
