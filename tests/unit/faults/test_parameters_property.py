"""Parameters of every kind survive the way from the command line through the ledger and back."""

from __future__ import annotations

import json
import shlex
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airbed.errors import UsageError
from airbed.faults import registry
from airbed.faults.ledger import Book, Entry
from airbed.faults.parameters import read_options, read_value
from airbed.records import from_json, to_json

KINDS = list(registry.kinds())
SCALARS = st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("name", KINDS)
def test_an_example_survives_the_command_line_and_the_ledger(name: str) -> None:
    kind = registry.kind(name)
    made = registry.make(name, kind.example)

    typed = registry.make(name, read_options(kind, shlex.split(registry.example(kind))[4:]))
    assert typed == made

    parameters = made.model_dump(mode="json", exclude_defaults=True)
    written = to_json(Book(1, [Entry("f1", name, parameters, {}, "a test", 1)]))
    (entry,) = from_json(Book, written).entries
    assert registry.make(entry.kind, entry.parameters) == made


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=10)
@given(data=st.data())
def test_an_unknown_parameter_is_refused_with_those_that_there_are(name: str, data: st.DataObject) -> None:
    kind = registry.kind(name)
    unknown = data.draw(
        st.from_regex(r"[a-z][a-z_]{0,12}", fullmatch=True).filter(lambda each: each not in kind.model_fields)
    )
    with pytest.raises(UsageError) as refused:
        registry.make(name, {**kind.example, unknown: 1})
    assert f"{name}: {unknown}: unknown; {name} has: " in str(refused.value)


@given(st.text())
def test_a_text_is_taken_as_it_is(text: str) -> None:
    assert read_value(str, text) == text
    assert read_value(str | None, text) == text
    assert read_value(Literal["on", "off"], text) == text


@given(SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(), SCALARS, max_size=3))
def test_json_is_read_as_json(value: Any) -> None:
    assert read_value(Any, json.dumps(value)) == value


@given(st.lists(st.integers(), min_size=1, max_size=5))
def test_a_list_may_be_written_without_brackets(numbers: list[int]) -> None:
    text = ",".join(map(str, numbers))
    assert read_value(list[int], text) == numbers
    assert read_value(list[int] | None, f"[{text}]") == numbers
    assert read_value(int | list[int] | None, text) == (numbers if len(numbers) > 1 else numbers[0])


@given(st.text(min_size=1).filter(lambda text: not text.startswith("--")))
def test_any_value_may_follow_its_option_or_an_equals_sign(text: str) -> None:
    kind = registry.kind("task.raise")
    assert read_options(kind, ["--message", text]) == read_options(kind, [f"--message={text}"]) == {"message": text}
