"""Which tasks of a serialised DAG are mapped, and how many instances each is expected to have.

The shapes are those of Airflow 3.3.2: `expand_input` (or `op_kwargs_expand_input`) of a mapped task or task group is
`{"type": "dict-of-lists" | "list-of-dicts", "value": ...}`, with XCom references as `{"__type": "xcomref", "__var":
{"task_id", "key"} or {"type": "map" | "zip" | "concat", ...}}`. The lengths follow `get_task_map_length` there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

Expansion = list[dict[str, Any]]


def expansions(structure: Mapping[str, Any]) -> dict[str, Expansion]:
    """For every task, the expand inputs that apply to it: its own and its mapped group's; empty: not mapped."""
    dag = structure["dag"]
    inside = dict(_group_expansions(dag.get("task_group") or {}, []))
    found: dict[str, Expansion] = {}
    for each in dag["tasks"]:
        task = each.get("__var", each)
        own = task.get(task.get("_expand_input_attr") or "expand_input")
        found[task["task_id"]] = [*inside.get(task["task_id"], []), *([own] if own else [])]
    return found


def caps(structure: Mapping[str, Any]) -> dict[str, int]:
    """For each task that limits its own instances, the limit: the smaller of per DAG and per run."""
    found: dict[str, int] = {}
    for each in structure["dag"]["tasks"]:
        task = each.get("__var", each)
        given = {**task, **(task.get("partial_kwargs") or {})}
        limits = [given.get(name) for name in ("max_active_tis_per_dag", "max_active_tis_per_dagrun")]
        known = [int(limit) for limit in limits if limit is not None]
        if known:
            found[task["task_id"]] = min(known)
    return found


def expected_lengths(
    structure: Mapping[str, Any], map_lengths: Mapping[str, int], pushed: Mapping[str, int] | None
) -> dict[str, int | None]:
    """For every mapped task, the number of instances its inputs ask for; None while an input is unknown.

    `map_lengths` is the length of each unmapped task's mapped-over result, `pushed` the number of values that the
    instances of each mapped task returned (mapping over a mapped task skips those without one); None while no run is
    there to ask.
    """
    all_expansions = expansions(structure)
    mapped = {task_id for task_id, inputs in all_expansions.items() if inputs}

    def of_task(task_id: str) -> int | None:
        if task_id not in mapped:
            return map_lengths.get(task_id)
        return pushed.get(task_id, 0) if pushed is not None else None

    def of_reference(reference: Mapping[str, Any]) -> int | None:
        kind = reference.get("type", "")
        if kind == "map":
            return of_reference(reference["arg"])
        if kind in {"zip", "concat"}:
            lengths = [of_reference(each) for each in reference["args"]]
            known = [each for each in lengths if each is not None]
            if len(known) < len(lengths):
                return None
            if kind == "concat":
                return sum(known)
            return max(known) if "fillvalue" in reference else min(known)
        return of_task(reference["task_id"])

    def of_value(value: Any) -> int | None:
        if isinstance(value, Mapping) and value.get("__type") == "xcomref":
            return of_reference(value["__var"])
        inner = value["__var"] if isinstance(value, Mapping) and "__var" in value else value
        return len(inner) if isinstance(inner, list | dict) else None

    def of_input(expand_input: Mapping[str, Any]) -> int | None:
        value = expand_input["value"]
        if expand_input["type"] == "list-of-dicts":
            return of_value(value)
        arguments = value.get("__var", value)
        return _product([of_value(each) for each in arguments.values()])

    return {task_id: _product([of_input(each) for each in all_expansions[task_id]]) for task_id in sorted(mapped)}


def _product(lengths: list[int | None]) -> int | None:
    known = [each for each in lengths if each is not None]
    return math.prod(known) if len(known) == len(lengths) else None


def _group_expansions(group: Mapping[str, Any], outer: Expansion) -> Iterator[tuple[str, Expansion]]:
    own = group.get("expand_input")
    inputs = [*outer, own] if own else outer
    for child_id, (kind, child) in (group.get("children") or {}).items():
        if kind == "operator":
            yield child_id, inputs
        else:
            yield from _group_expansions(child, inputs)
