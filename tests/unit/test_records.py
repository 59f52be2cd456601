"""Dataclasses to JSON and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from airbed.records import from_json, to_json


@dataclass
class Inner:
    number: int
    where: Path


@dataclass
class Outer:
    name: str
    inner: Inner
    many: dict[str, Inner]
    kind: Literal["a", "b"] = "a"
    scale: float = 1
    on: bool = False
    note: str | None = None
    names: list[str] = field(default_factory=list)


FULL = Outer("x", Inner(1, Path("/a")), {"k": Inner(2, Path("b"))}, "b", 2.5, True, "hm", ["p", "q"])
LEAST: dict[str, Any] = {"name": "x", "inner": {"number": 1, "where": "/a"}, "many": {}}


def test_round_trip() -> None:
    assert from_json(Outer, to_json(FULL)) == FULL


def test_defaults_and_unknown_fields() -> None:
    assert from_json(Outer, json.dumps({**LEAST, "later": 1})) == Outer("x", Inner(1, Path("/a")), {})


def test_a_whole_number_is_a_float() -> None:
    scale = from_json(Outer, json.dumps({**LEAST, "scale": 100})).scale
    assert (scale, type(scale)) == (100, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, r"Outer\.name is 3, which is no str"),
        ({"name": None}, r"Outer\.name is None"),
        ({"inner": {"number": "1", "where": "/a"}}, r"Outer\.inner\.number is '1', which is no int"),
        ({"inner": {"number": 1}}, r"Outer\.inner\.where is missing"),
        ({"inner": {"number": True, "where": "/a"}}, r"Outer\.inner\.number is True"),
        ({"many": {"k": 1}}, r"Outer\.many\.k is 1, which is no object"),
        ({"kind": "c"}, r"Outer\.kind is 'c'"),
        ({"names": "p"}, r"Outer\.names is 'p'"),
        ({"names": ["p", 1]}, r"Outer\.names is 1, which is no str"),
        ({"note": 1}, r"Outer\.note is 1, which is no str"),
        ({"scale": True}, r"Outer\.scale is True"),
    ],
)
def test_wrong_values_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Outer, json.dumps({**LEAST, **change}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe"])
def test_what_is_no_record(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        from_json(Outer, text)
