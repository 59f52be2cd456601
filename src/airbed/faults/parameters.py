"""The parameters of a kind as a person sees and writes them: type, default, description; texts to values."""

from __future__ import annotations

import contextlib
import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic_core import PydanticUndefined

from airbed import plainyaml
from airbed.errors import UsageError
from airbed.faults.model import Fault
from airbed.faults.registry import example

LIMITS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@dataclass(frozen=True)
class Parameter:
    """One parameter: `type` in words, with its limits; `default` None when there is none or it is None."""

    name: str
    type: str
    required: bool
    default: Any
    description: str

    @property
    def option(self) -> str:
        """How the command line calls it: `--map-index`."""
        return "--" + self.name.replace("_", "-")


def parameters(kind: type[Fault]) -> list[Parameter]:
    """What a kind can be given, in the order of its fields."""
    found = []
    for name, field in kind.model_fields.items():
        default = None if field.default is PydanticUndefined else field.get_default(call_default_factory=True)
        limits = "".join(
            f" {sign} {getattr(each, key)}"
            for each in field.metadata
            for key, sign in LIMITS.items()
            if getattr(each, key, None) is not None
        )
        found.append(
            Parameter(name, _words(field.annotation) + limits, field.is_required(), default, field.description or "")
        )
    return found


def read_options(kind: type[Fault], arguments: Sequence[str]) -> dict[str, Any]:
    """Parameters from `--some-name value`, `--some-name=value` or, for true, `--some-name` alone.

    UsageError names what is unknown or incomplete, and shows an example.
    """
    given: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        if not option.startswith("--"):
            raise UsageError(f"{kind.kind}: '{option}' belongs to no parameter; example: {example(kind)}")
        name, equals, text = option[2:].partition("=")
        name = name.replace("-", "_")
        if name not in kind.model_fields:
            known = ", ".join(each.option for each in parameters(kind)) or "no parameters"
            raise UsageError(f"{kind.kind} has no parameter {option}; it has: {known}; example: {example(kind)}")
        if name in given:
            raise UsageError(f"{kind.kind}: {option} is given twice; a list is written: {option} '[1, 2]'")
        wanted = kind.model_fields[name].annotation
        if equals:
            given[name] = read_value(wanted, text)
        elif rest and not rest[0].startswith("--"):
            given[name] = read_value(wanted, rest.pop(0))
        elif bool in _members(wanted):
            given[name] = True
        else:
            raise UsageError(f"{kind.kind}: {option} needs a value; example: {example(kind)}")
    return given


def read_value(wanted: Any, text: str) -> Any:
    """A text as the value of a field: as it is for texts and choices, else as JSON or YAML; lists also `1,2`.

    Days and times of day stay texts: `2026-01-05`, `12:30`.
    """
    members = _members(wanted)
    plain = [each for each in members if each is str or get_origin(each) is Literal]
    if plain and len(plain) == len(members):
        return text
    lists = any(get_origin(each) in (list, tuple, set, frozenset, Sequence) for each in members)
    # One number may stand for a list of one; with two or more, or where nothing but a list fits, it is a list.
    if lists and not text.lstrip().startswith(("[", "{")) and ("," in text or len(members) == 1):
        text = f"[{text}]"
    # YAML is no superset of JSON in all: 1e-5, characters beyond the first 65536.
    for read in (json.loads, plainyaml.load):
        with contextlib.suppress(ValueError, yaml.YAMLError):
            return read(text)
    return text


def _members(wanted: Any) -> list[Any]:
    """What a field may be, without None: the members of a union, Annotated taken off."""
    if get_origin(wanted) is Annotated:
        return _members(get_args(wanted)[0])
    if get_origin(wanted) in (Union, types.UnionType):
        return [inner for each in get_args(wanted) if each is not types.NoneType for inner in _members(each)]
    return [wanted]


def _words(wanted: Any) -> str:
    """A type in words."""
    names = {str: "text", int: "integer", float: "number", bool: "true|false", Any: "any value"}
    words = []
    for each in _members(wanted):
        origin, arguments = get_origin(each), get_args(each)
        if origin is Literal:
            words.append("|".join(map(str, arguments)))
        elif origin in (list, tuple, set, frozenset, Sequence):
            words.append(f"list of {_words(arguments[0])}")
        elif origin in (dict, Mapping):
            words.append(f"mapping of {_words(arguments[0])} to {_words(arguments[1])}")
        else:
            words.append(names.get(each, getattr(each, "__name__", str(each))))
    return " or ".join(dict.fromkeys(words))
