"""Dataclasses to JSON and back, checked against their annotations.

For the files of a bed, which every short command reads: importing a validation library for them would cost each command
more time than all the rest of its work.
"""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def to_json(record: Any) -> str:
    """A dataclass as indented JSON; paths become texts."""
    return json.dumps(asdict(record), indent=1, default=str)


def from_json(kind: type[Record], text: str | bytes) -> Record:
    """A dataclass from JSON. Unknown fields are ignored; ValueError when a value is missing or of another type."""
    made: Record = _value(kind, json.loads(text), kind.__name__)
    return made


def _value(kind: Any, value: Any, where: str) -> Any:  # noqa: PLR0911
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _record(kind, value, where)
    if origin in (Union, types.UnionType):
        inner = next(each for each in arguments if each is not types.NoneType)
        return None if value is None else _value(inner, value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is list and isinstance(value, list):
        return [_value(arguments[0], each, where) for each in value]
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise ValueError(f"{where} is {value!r}, which is no {getattr(kind, '__name__', kind)}")


def _record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r}, which is no object")
    hints = get_type_hints(kind)
    arguments = {}
    for each in fields(kind):
        if each.name in value:
            arguments[each.name] = _value(hints[each.name], value[each.name], f"{where}.{each.name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}.{each.name} is missing")
    return kind(**arguments)
