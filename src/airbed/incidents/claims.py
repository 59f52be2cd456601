"""The pieces that a scenario file makes its claims of: numbers, counts of tries, regular expressions."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

Model = TypeVar("Model", bound=BaseModel)


class Part(BaseModel):
    """A piece of a scenario file: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Claim(Part):
    """A piece that says what must come, or come out: a field that is there without a value is an error.

    A claim that was left empty would hold whatever happens. `null_means` are the fields in which null is a value.
    """

    null_means: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _nothing_is_empty(self) -> Self:
        fields = type(self).model_fields
        for name in sorted(self.model_fields_set - self.null_means):
            if name in fields and getattr(self, name) is None:
                raise ValueError(f"{fields[name].alias or name} is empty: give it a value, or leave it out")
        return self


def exactly_one(part: Model) -> Model:
    """The part, when exactly one of its fields was given."""
    given = [name for name in part.model_fields_set if getattr(part, name) is not None]
    if len(given) != 1:
        allowed = ", ".join(type(part).model_fields)
        raise ValueError(f"give exactly one of {allowed}" + (f", not {' and '.join(sorted(given))}" if given else ""))
    return part


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


Regex = Annotated[str, AfterValidator(_regex)]


class Bound(Claim):
    """A number: `equals`, or `at_least` and `at_most`, both included. A plain number in the file means `equals`."""

    equals: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return {"equals": value} if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give a number, or at_least, at_most, or equals")
        return self

    def holds(self, number: float) -> bool:
        """Whether a number is within."""
        return (
            (self.equals is None or number == self.equals)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )

    def __str__(self) -> str:
        said = [
            f"{word} {value:g}" if word else f"{value:g}"
            for word, value in (("", self.equals), ("at least", self.at_least), ("at most", self.at_most))
            if value is not None
        ]
        return " and ".join(said)


class AtMost(Bound):
    """A number; a plain one in the file means `at_most`."""

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return {"at_most": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Tries(Claim):
    """How often instances were tried: by map_index (`1: 3`, all others once), by count of tries, or all alike."""

    by_index: dict[int, int] | None = None
    by_count: dict[int, int] | None = None
    every: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"every": value}
        if isinstance(value, dict) and all(isinstance(key, int) for key in value):
            return {"by_index": value}
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self)


def one_of(part: Model, names: tuple[str, ...]) -> Model:
    """The part, when exactly one of these fields was given."""
    given = [name for name in names if name in part.model_fields_set]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(name.rstrip('_') for name in names)}")
    return part
