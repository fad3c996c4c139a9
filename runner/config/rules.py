"""Groups of settings, and the messages about wrong ones.

pydantic checks types and ranges. The sentence about a wrong value is made here, from what its
field allows: ``<dotted.key>: must be <rule>, got <value!r>.``
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from runner.system.errors import ConfigError, nearest, shorten
from runner.system.text import elide
from softnet import SettingError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

# Else pydantic looks through all installed packages for plugins, with every start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_MOST_LINES = 3
_LONGEST_KEY = 60
# Groups whose files take effect at the top only if their first line says so.
_GLOBAL_GROUPS = ("experiment", "local")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class Section(BaseModel):
    """A group of settings: typed, immutable, and without further keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


Count = Annotated[int, Field(ge=1)]
CountOrNull = Annotated[int | None, Field(ge=1)]
# As NumPy takes it, and as MLflow and JSON keep it exactly.
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def holds(condition: Callable[[Any], bool]) -> AfterValidator:
    """Require what pydantic has no constraint for; the field's description says what that is."""

    def check(value: object) -> object:
        if not condition(value):
            raise ValueError
        return value

    return AfterValidator(check)


def explain_validation(error: ValidationError, model: type[BaseModel]) -> ConfigError:
    """Translate the first three errors that validating `model` has found, a line each."""
    # A value that fits none of several types is reported once for each of them.
    lines = list(dict.fromkeys(str(_line(d, model)) for d in error.errors(include_url=False)))
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES - 1] += f" ({len(lines) - _MOST_LINES} more are wrong.)"
    return ConfigError.plain("\n".join(lines[:_MOST_LINES]))


def _line(  # noqa: PLR0911  (one return for each kind of error)
    detail: ErrorDetails, model: type[BaseModel]
) -> ConfigError:
    key, field, keys = _locate(detail["loc"], model)
    got, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(key, keys, detail["loc"][-1])
        case "invalid_key":
            return ConfigError("the config", "text wherever there is a key", detail["loc"][-1])
        case "missing":
            return ConfigError.plain(f"{key}: must be given, got nothing.")
        case "union_tag_invalid":
            choices = re.findall(r"'([^']+)'", context["expected_tags"])
            hint = nearest(context["tag"], choices)
            return ConfigError(f"{key}.name", _one_of(choices), context["tag"], hint)
        case "union_tag_not_found" if isinstance(got, dict):
            return ConfigError.plain(f"{key}.name: must be given, got nothing.")
        case "model_type" | "model_attributes_type" | "union_tag_not_found":
            return ConfigError(key or "the config", "a group of settings", got)
        case "value_error" if isinstance(context["error"], SettingError):
            wrong = context["error"]
            return ConfigError(f"{key}.{wrong.setting}".lstrip("."), wrong.rule, wrong.got)
        case "value_error" if field is None or _sections(field.annotation):
            return ConfigError.plain(f"{key}: {context['error']}")
    if field is None:
        return ConfigError.plain(f"{key}: {detail['msg']}, got {shorten(got)}.")
    return ConfigError(key, rule_of(field), got, _hint(field, got))


def _locate(
    location: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[str, FieldInfo | None, Collection[str]]:
    """Return the dotted key of pydantic's location, its field, and the keys of its section.

    pydantic puts the name of the section that was chosen into the location, and of the type that
    was tried; a person has written neither as a key.
    """
    key, field = "", None
    keys: Collection[str] = ()
    sections: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
            field = _item(field.annotation) if field else None
        elif len(sections) > 1:
            sections = [s for s in sections if part in get_args(s.model_fields["name"].annotation)]
            continue
        elif sections:
            # Keys of a record are untrusted text.
            key = f"{key}.{elide(part, _LONGEST_KEY)}".removeprefix(".")
            keys = sections[0].model_fields
            field = sections[0].model_fields.get(part)
        sections = _sections(field.annotation) if field else []
    return key, field, keys


def _sections(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) is tuple:
        return []
    return [section for part in get_args(annotation) for section in _sections(part)]


def _item(annotation: object) -> FieldInfo | None:
    """Return what an item of a tuple must be."""
    for kind in (annotation, *get_args(annotation)):
        if get_origin(kind) is tuple:
            return FieldInfo.from_annotation(get_args(kind)[0])
    return None


def _unknown_key(key: str, keys: Collection[str], got: object) -> ConfigError:
    if key in _GLOBAL_GROUPS:
        return ConfigError.plain(
            f"{key}: must take effect at the top, got settings inside {key!r}. "
            f"Its file must begin with the line: # @package _global_"
        )
    group, _, name = key.rpartition(".")
    chosen = group and "name" in keys and not nearest(name, keys)
    hint = f"Another {group} ({group}=..., in a rerun '{group}={{name: ...}}') has its own."
    return ConfigError.unknown(key, keys, hint if chosen else "", got)


def rule_of(field: FieldInfo) -> str:
    """Return what a field allows: its description, or else its type and its range."""
    if field.description:
        return field.description
    or_null = ", or null" if NoneType in get_args(field.annotation) else ""
    for kind in (field.annotation, *get_args(field.annotation)):
        if get_origin(kind) is Literal:
            return _one_of(get_args(kind)) + or_null
        if get_origin(kind) is Annotated:
            return rule_of(FieldInfo.from_annotation(kind)) + or_null
    kinds = get_args(field.annotation) or (field.annotation,)
    rule = next((_KINDS[kind] for kind in _KINDS if kind in kinds), "another type of value")
    bounds = _bounds(field)
    if bounds.get("allow_inf_nan") is False:
        rule = rule.replace("a ", "a finite ")
    return rule + _within(bounds) + (or_null if bounds else or_null.removeprefix(","))


def values_of(model: type[BaseModel], key: str) -> list[str]:
    """Return the values of a dotted key that can be counted up, whatever is chosen beside it.

    Those of a group's ``name`` are left out: the group's options stand for them.
    """
    found = [value for one in _annotations(model, key) for value in _countable(one)]
    return [] if key.endswith(".name") else list(dict.fromkeys(found))


def types_of(model: type[BaseModel], key: str) -> set[object]:
    """Return the types of a dotted key, whatever is chosen beside it; none of one that is none."""
    return {kind for one in _annotations(model, key) for kind in _alternatives(one)}


def _annotations(model: type[BaseModel], key: str) -> list[object]:
    *path, name = key.split(".")
    sections = [model]
    for part in path:
        fields = [one.model_fields[part] for one in sections if part in one.model_fields]
        sections = [section for field in fields for section in _sections(field.annotation)]
    return [one.model_fields[name].annotation for one in sections if name in one.model_fields]


def _alternatives(annotation: object) -> list[object]:
    if get_origin(annotation) not in (Annotated, Union, UnionType):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _alternatives(part)]


def _countable(annotation: object) -> list[str]:
    """Return the names of a type, true and false of a truth value, and null beside them."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if annotation is bool:
        return ["true", "false"]
    parts = get_args(annotation) if get_origin(annotation) is not tuple else ()
    found = [value for part in parts for value in _countable(part)]
    return [*found, "null"] if found and NoneType in parts else found


def _bounds(field: FieldInfo) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt", "allow_inf_nan")
    found = ((n, getattr(constraint, n, None)) for constraint in field.metadata for n in names)
    return {name: value for name, value in found if value is not None}


def _within(bounds: dict[str, Any]) -> str:
    match bounds:
        case {"ge": least, "le": most}:
            return f" from {least} to {most}"
        case {"ge": least, "lt": limit}:
            return f" from {least} up to, but not, {limit}"
        case {"gt": least, "lt": limit}:
            return f" between {least} and {limit}"
        case {"ge": least}:
            return f", {least} or above"
        case {"gt": limit}:
            return f" above {limit}"
    return ""


def _one_of(names: Collection[str]) -> str:
    return f"one of {', '.join(names)}"


def _hint(field: FieldInfo, got: object) -> str:
    if get_origin(field.annotation) is Literal:
        return nearest(got, get_args(field.annotation))
    kinds = {bool, int, float}.intersection((field.annotation, *get_args(field.annotation)))
    text = got.lower() if isinstance(got, str) else ""
    is_number = kinds & {int, float} and re.fullmatch(r"[-+.\de]*\d[-+.\de]*", text)
    if is_number or (bool in kinds and text in {"true", "false"}):
        return "Text becomes a value by oc.decode: ${oc.decode:${oc.env:NAME}}."
    item = _item(field.annotation)
    if item and isinstance(got, str) and got.startswith("["):
        return f"Did you mean {shorten(got).strip(chr(39))}, without quotes?"
    return f"Did you mean [{elide(got, 60)}]?" if item and type(got) is item.annotation else ""
