"""Gates that can never fill."""

from __future__ import annotations

from typing import Any

import pytest

from airbed.errors import UsageError
from airbed.incidents.feasible import limits
from airbed.incidents.moments import Arrived

LITERAL = {"type": "dict-of-lists", "value": {"number": [1, 2, 3, 4, 5, 6]}}
REFERENCE = {
    "type": "dict-of-lists",
    "value": {"number": {"__type": "xcomref", "__var": {"task_id": "items", "key": "return_value", "type": "plain"}}},
}


def structure(expand: dict[str, Any] = LITERAL, **given: Any) -> dict[str, Any]:
    children = {"items": ["operator", "items"], "work": ["operator", "work"]}
    tasks = [
        {"__var": {"task_id": "items"}},
        {"__var": {"task_id": "work", "_is_mapped": True, "expand_input": expand, "partial_kwargs": given}},
    ]
    return {"dag": {"tasks": tasks, "task_group": {"children": children}, "max_active_tasks": 16}}


def most(asked: dict[str, Any], items: dict[str, int] | None = None, parallelism: int = 24, **given: Any) -> int:
    found = limits(
        structure(**given), Arrived(task="work", **asked), items or {}, {"default_pool": 128, "db": 2}, parallelism
    )
    return min(number for number, _ in found)


@pytest.mark.parametrize(
    ("number", "asked", "options"),
    [
        (6, {}, {}),  # the literal list
        (3, {}, {"max_active_tis_per_dag": 3}),
        (2, {}, {"pool": "db"}),
        (1, {}, {"pool": "db", "pool_slots": 2}),
        (4, {}, {"parallelism": 4}),
        (6, {"hold": False}, {"max_active_tis_per_dag": 3}),  # they may come one after the other
        (12, {"hold": False, "try_number": [1, 2]}, {}),
        (1, {"map_index": [2, 9]}, {}),  # there is no instance 9
        (16, {}, {"expand": REFERENCE}),  # not known before the run: the DAG's own limit
        (5, {}, {"expand": REFERENCE, "items": {"work": 5}}),  # known from the control run
    ],
)
def test_the_smallest_limit_counts(number: int, asked: dict[str, Any], options: dict[str, Any]) -> None:
    assert most(asked, **options) == number


def test_an_unmapped_task_arrives_once() -> None:
    found = list(limits(structure(), Arrived(task="items"), {}, {}, 24))
    assert found[0] == (1, "it has 1 instances")


def test_a_task_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no task 'wrok' to arrive; the DAG has: items, work"):
        list(limits(structure(), Arrived(task="wrok"), {}, {}, 24))
