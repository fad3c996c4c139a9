"""What a setting may be, in the words that a person reads when it is not.

A `Rule` stands in the annotation of a field: pydantic checks the type, the rule its range, and
whichever of the two fails, the message is the rule's sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from runner.system.errors import nearest


class Section(BaseModel):
    """A group of settings: typed, unchangeable, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


@dataclass(frozen=True)
class Rule:
    """A sentence that a value must fulfil.

    Parameters
    ----------
    text : str
        What is allowed, to be read after "must be".
    holds : callable
        Whether a value of the right type is allowed.
    hint : callable
        A further sentence about a value that is not, for instance the nearest name.
    """

    text: str
    holds: Callable[[Any], bool] = lambda value: True  # noqa: ARG005  (any value of the type)
    hint: Callable[[Any], str] = lambda value: ""  # noqa: ARG005  (nothing to add)

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Wrap the check of the type in this rule."""

        def check(value: object, inner: core_schema.ValidatorFunctionWrapHandler) -> object:
            try:
                valid = inner(value)
            except ValidationError as error:
                if any(isinstance(part, int) for e in error.errors() for part in e["loc"]):
                    raise  # one item of a list is wrong, and says so itself
                raise self._broken(value) from None
            if not self.holds(valid):
                raise self._broken(value)
            return valid

        return core_schema.no_info_wrap_validator_function(check, handler(source))

    def _broken(self, value: object) -> PydanticCustomError:
        context = {"rule": self.text, "hint": self.hint(value)}
        return PydanticCustomError("rule", "must be {rule}", context)


def whole(least: int, most: int | None = None) -> Rule:
    """Require a whole number within bounds."""
    if most is None:
        return Rule(f"a whole number, {least} or above", lambda value: value >= least)
    return Rule(f"a whole number from {least} to {most}", lambda value: least <= value <= most)


def not_negative() -> Rule:
    """Require a finite number that is not below 0."""
    return Rule("a finite number, 0 or above", lambda value: math.isfinite(value) and value >= 0)


def positive() -> Rule:
    """Require a finite number above 0."""
    return Rule("a finite number above 0", lambda value: math.isfinite(value) and value > 0)


def one_of(names: Iterable[str]) -> Rule:
    """Require one of these names, and ask about one that is close."""
    known = tuple(names)
    return Rule(
        f"one of {', '.join(known)}",
        lambda value: value in known,
        lambda value: nearest(value, known),
    )


# As NumPy takes it, and as MLflow and JSON keep it exactly.
Seed = Annotated[int, whole(0, 2**63 - 1)]
