"""Gates that can never fill."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airbed.errors import UsageError
from airbed.incidents import feasible
from airbed.incidents.feasible import ensure_gates_can_fill, limits
from airbed.incidents.moments import Arrived
from airbed.incidents.schema import Case

LITERAL = {"type": "dict-of-lists", "value": {"number": [1, 2, 3, 4, 5, 6]}}
REFERENCE = {
    "type": "dict-of-lists",
    "value": {"number": {"__type": "xcomref", "__var": {"task_id": "items", "key": "return_value", "type": "plain"}}},
}
OVER_MAPPED = {
    "type": "dict-of-lists",
    "value": {"number": {"__type": "xcomref", "__var": {"task_id": "first", "key": "return_value", "type": "plain"}}},
}


def structure(expand: dict[str, Any] = LITERAL, **given: Any) -> dict[str, Any]:
    children = {"items": ["operator", "items"], "work": ["operator", "work"]}
    tasks = [
        {"__var": {"task_id": "items"}},
        {"__var": {"task_id": "first", "_is_mapped": True, "expand_input": LITERAL, "partial_kwargs": {}}},
        {"__var": {"task_id": "work", "_is_mapped": True, "expand_input": expand, "partial_kwargs": given}},
    ]
    return {"dag": {"tasks": tasks, "task_group": {"children": children}, "max_active_tasks": 16}}


def most(
    asked: dict[str, Any],
    items: dict[str, int] | None = None,
    parallelism: int = 24,
    runs: int | None = 1,
    **given: Any,
) -> int:
    pools = {"default_pool": 128, "db": 2, "endless": -1}
    found = limits(structure(**given), Arrived(task="work", **asked), items or {}, pools, parallelism, runs)
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
        (16, {}, {"expand": OVER_MAPPED}),  # how many values the mapped task returns is not known before either
        (5, {}, {"expand": OVER_MAPPED, "items": {"work": 5}}),
        (6, {}, {"pool": "endless"}),
        (12, {}, {"runs": 2}),
        (6, {}, {"runs": 2, "max_active_tis_per_dagrun": 3}),
        (3, {}, {"runs": 2, "max_active_tis_per_dag": 3}),
        (2, {"map_index": [2, 9]}, {"runs": 2}),
        (24, {}, {"runs": None}),  # a backfill: what limits a single run limits nothing
        (2, {}, {"runs": None, "pool": "db"}),
    ],
)
def test_the_smallest_limit_counts(number: int, asked: dict[str, Any], options: dict[str, Any]) -> None:
    assert most(asked, **options) == number


def test_an_unmapped_task_arrives_once() -> None:
    found = list(limits(structure(), Arrived(task="items"), {}, {}, 24))
    assert found[0] == (1, "it has 1 instances")


def test_a_task_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no task 'wrok' to arrive; the DAG has: first, items, work"):
        list(limits(structure(), Arrived(task="wrok"), {}, {}, 24))


def test_a_gate_is_for_all_runs_of_its_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feasible, "ensure_dag_is_ready", lambda *_: None)
    bed: Any = SimpleNamespace(
        airflow=SimpleNamespace(pools=lambda: {}),
        metadata=SimpleNamespace(structure=lambda dag_id: structure(expand=REFERENCE)),
        spec=SimpleNamespace(parallelism=24),
    )
    gate = {"fault": "process.stop", "with": {"service": "shard-1"}, "when": {"arrived": {"task": "work", "count": 8}}}

    def held(*runs: dict[str, Any]) -> None:
        made = [{"id": f"run-{number}", **run} for number, run in enumerate(runs)]
        case = Case.model_validate({"runs": made, "faults": [gate], "expect": {"run": "success"}})
        ensure_gates_can_fill(bed, case, {("d", "work"): 4, ("other", "work"): 2})

    held({"dag": "d"}, {"dag": "d"})
    held({"dag": "d", "backfill": {"from": "2026-03-01", "to": "2026-03-02"}})
    with pytest.raises(UsageError, match=r"8 instances of work can never have arrived: it has 4 instances; wait for 4"):
        held({"dag": "d"}, {"dag": "other"})
    with pytest.raises(UsageError, match=r"it has 2 instances, in each of 2 runs; wait for 4"):
        held({"dag": "other"}, {"clear": {}})
