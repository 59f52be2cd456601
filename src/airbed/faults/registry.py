"""Every kind of fault there is, found in the folders beside this file."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import shlex
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError

from airbed.errors import UsageError
from airbed.faults import platform, process, protocol, task
from airbed.faults.model import Fault

LEVELS = (task, protocol, process, platform)


@cache
def kinds() -> dict[str, type[Fault]]:
    """All kinds by name, in the order of their levels, then by name."""
    found: dict[str, type[Fault]] = {}
    for level in LEVELS:
        of_level: dict[str, type[Fault]] = {}
        for module in pkgutil.iter_modules(level.__path__, f"{level.__name__}."):
            for each in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(each) and issubclass(each, Fault) and "kind" in vars(each):
                    of_level[each.kind] = each
        found |= dict(sorted(of_level.items()))
    return found


def kind(name: str) -> type[Fault]:
    """The kind of that name; UsageError names the nearest one."""
    known = kinds()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "see: airbed fault kinds"
        raise UsageError(f"there is no kind of fault '{name}'; {hint}")
    return known[name]


def make(name: str, parameters: Mapping[str, Any]) -> Fault:
    """A fault of that kind; UsageError names the parameter that is unknown, missing or wrong, and what it may be."""
    chosen = kind(name)
    try:
        return chosen.model_validate(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "parameters"
        if first["type"] == "extra_forbidden":
            reason = f"unknown; {name} has: {', '.join(chosen.model_fields) or 'no parameters'}"
        else:
            reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{name}: {where}: {reason}; example: {example(chosen)}") from None


def example(chosen: type[Fault]) -> str:
    """The command that adds an example of a kind to a bed by hand."""
    options = " ".join(f"--{name.replace('_', '-')} {_shown(value)}" for name, value in chosen.example.items())
    return f"airbed fault add {chosen.kind} {options}".rstrip()


def _shown(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))
