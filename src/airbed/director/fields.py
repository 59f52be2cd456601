"""Reading the fields of a JSON object that a client sent; a wrong one is a UsageError of one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airbed.errors import UsageError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def as_object(body: object, what: str) -> dict[str, Any]:
    """The body, when it is a JSON object; `what` names it in the error."""
    if not isinstance(body, dict):
        raise UsageError(f"{what}: expected a JSON object, got {type(body).__name__}")
    return body


def only_known(fields: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    """Refuse a field that is not one of `known`."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise UsageError(f"{what}: unknown field {unknown[0]!r}; known: {', '.join(known)}")


def text(fields: Mapping[str, Any], name: str) -> str:
    """A text that is not empty."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name}: expected a text that is not empty, got {value!r}")
    return value


def optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    """A text that is not empty, or None."""
    return None if fields.get(name) is None else text(fields, name)


def integer(fields: Mapping[str, Any], name: str) -> int:
    """A whole number."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{name}: expected a whole number, got {value!r}")
    return value


def optional_integer(fields: Mapping[str, Any], name: str, lowest: int, what: str) -> int | None:
    """A whole number of `lowest` or more, or None."""
    if fields.get(name) is None:
        return None
    value = integer(fields, name)
    if value < lowest:
        raise UsageError(f"{what}: {name} must be {lowest} or more, got {value}")
    return value


def optional_number(fields: Mapping[str, Any], name: str, lowest: float, highest: float, what: str) -> float | None:
    """A number from `lowest` to `highest`, or None."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
        raise UsageError(f"{what}: {name} must be a number from {lowest:g} to {highest:g}, got {value!r}")
    return float(value)


def optional_flag(fields: Mapping[str, Any], name: str, what: str) -> bool | None:
    """True or false, or None."""
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{what}: {name} must be true or false, got {value!r}")
    return value


def integers(fields: Mapping[str, Any], name: str, lowest: int, what: str) -> tuple[int, ...] | None:
    """One or more whole numbers of `lowest` or more, given as one or as a list; or None."""
    value = fields.get(name)
    if value is None:
        return None
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not numbers or any(
        not isinstance(number, int) or isinstance(number, bool) or number < lowest for number in numbers
    ):
        raise UsageError(f"{what}: {name} must be a whole number of {lowest} or more, or a list of them, got {value!r}")
    return numbers


def choice(fields: Mapping[str, Any], name: str, known: tuple[str, ...], default: str | None, what: str) -> str:
    """One of `known`."""
    value = default if fields.get(name) is None else fields[name]
    if value not in known:
        raise UsageError(f"{what}: unknown {name} {value!r}; known: {', '.join(known)}")
    return str(value)


def optional_id(fields: Mapping[str, Any], what: str) -> str | None:
    """The `id` that a client chose for what it adds, or None."""
    value = fields.get("id")
    if value is not None and (not isinstance(value, str) or not _ID.fullmatch(value)):
        raise UsageError(f"{what}: id must be 1 to 100 letters, digits, '_', '.' or '-', got {value!r}")
    return value


def paths(fields: Mapping[str, Any], name: str, what: str) -> dict[str, Any] | None:
    """A map of dotted paths ("op_kwargs.item.id") to anything, not empty; or None."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        raise UsageError(
            f"{what}: {name} must map a path to a value, such as {{'op_kwargs.item.id': 3}}, got {value!r}"
        )
    for path in value:
        if not isinstance(path, str) or not all(path.split(".")):
            raise UsageError(f"{what}: {name} has a bad path {path!r}; use names and positions joined by dots")
    return value
