"""Whatever stands in a scenario file, it is read or refused with lines that exist: never another error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from airbed.incidents.load import BrokenScenario, parse
from airbed.incidents.schema import Scenario

WHOLE: dict[str, Any] = {
    "name": "whole",
    "symptom": "two shards fail",
    "given": {"seed": [{"pattern": "shards", "day": "2026-03-01"}], "pools": {"db_etl": 2}},
    "runs": [{"id": "a", "dag": "d", "conf": {"n": 3}}, {"id": "b", "clear": {"run": "a"}}],
    "faults": [
        {
            "id": "down",
            "fault": "process.stop",
            "with": {"service": "shard-1"},
            "when": {"arrived": {"task": "t", "count": 2, "map_index": [0, 1]}},
            "until": {"seconds": 3},
        }
    ],
    "expect": {
        "run": {"a": "failed"},
        "tasks": {"a/t": {"outcomes": {"success": [0], "hard": 1}, "tries": {1: 3}}},
        "effects": {"down": {"at_least": 1}},
        "values": [{"task": "t", "equals": None}],
    },
}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested value but its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in items for place in ((*at, key), *places(each, (*at, key)))]


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a place; `...` takes it away."""
    key, rest = place[0], place[1:]
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = put(copy[key], rest, new)
    elif new is ...:
        del copy[key]
    else:
        copy[key] = new
    return copy


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab: {}[]'\"#-1", max_size=6) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=5,
)


def test_the_unchanged_file_is_read() -> None:
    assert isinstance(parse(yaml.safe_dump(WHOLE), Path("whole.yaml")), Scenario)


@settings(max_examples=100, deadline=None)
@given(place=st.sampled_from(places(WHOLE)), new=ANYTHING | st.just(...))
def test_any_value_anywhere_is_read_or_refused_with_a_line(place: tuple[Any, ...], new: Any) -> None:
    text = yaml.safe_dump(put(WHOLE, place, new))
    try:
        parse(text, Path("whole.yaml"))
    except BrokenScenario as error:
        for problem in error.problems:
            name, line, words = problem.split(":", 2)
            assert name == "whole.yaml" and 1 <= int(line) <= len(text.splitlines()) and words.strip()
            assert "\n" not in problem


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_refused_with_a_line(text: str) -> None:
    try:
        parse(text, Path("whole.yaml"))
    except BrokenScenario as error:
        assert all(problem.startswith("whole.yaml:") for problem in error.problems)
