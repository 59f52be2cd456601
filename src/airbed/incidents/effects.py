"""What a fault did, apart from how often it hit: tries that ended badly, hits that a client retried away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airbed.clients.rows import Attempt
from airbed.incidents.observe import Seen
from airbed.incidents.steps import FaultState

_BAD = {"failed", "up_for_retry", "restarting", None}


def effects(faults: Mapping[str, FaultState], seen: Seen) -> dict[str, int]:
    """The tries that each fault made end badly; 0 for one that was left out or never came.

    For a fault of single tasks these are tries that it hit; for every other, tries during which it was in force.
    """
    soft = {
        (run.dag_id, run.run_id, each.task_id, each.map_index)
        for runs in seen.runs.values()
        for run in runs
        for task in run.tasks.values()
        for each in task.instances
        if each.state == "soft"
    }
    bad = [each for each in seen.attempts if each.state in _BAD or _place(each) in soft]
    return {name: _of_fault(state, bad, seen.director) for name, state in faults.items()}


def _place(each: Attempt) -> tuple[str, str, str, int]:
    return each.dag_id, each.run_id, each.task_id, each.map_index


def _of_fault(state: FaultState, bad: Iterable[Attempt], director: Iterable[Mapping[str, Any]]) -> int:
    if state.fault is None or state.in_force is None:
        return 0
    if state.step.fault.startswith("task."):
        hit = {
            (each["dag_id"], each["run_id"], each["task_id"], each["map_index"], each["try_number"])
            for each in director
            if each["kind"] == "fired" and each["rule"] == _rule(state)
        }
        return sum((*_place(each), each.try_number) in hit for each in bad)
    # A try may end by a fault that is still being confirmed.
    begin, end = state.applied or state.in_force, state.undone
    return sum((end is None or each.start_date <= end) and _ended_after(each, begin) for each in bad)


def _ended_after(each: Attempt, moment: datetime) -> bool:
    return each.end_date is None or each.end_date >= moment


def _rule(state: FaultState) -> str | None:
    return state.entry.plan.get("key") if state.entry is not None else None


def swallowed(state: FaultState, director: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Of an S3 fault, the requests that it hit, and those that succeeded in the end by the client's own retries."""
    hit, well = set(), set()
    for each in director:
        if each["kind"] == "s3-fired" and each["rule"] == _rule(state):
            hit.add(each.get("invocation"))
        elif each["kind"] == "s3-followed" and each["status"] < 400 and each["intact"]:
            well.add(each.get("invocation"))
    hit.discard(None)
    return len(hit), len(hit & well)


def remarks(faults: Mapping[str, FaultState], seen: Seen) -> list[str]:
    """What the verdict says of faults that hit something, and did nothing or less."""
    counted = effects(faults, seen)
    found = []
    for name, state in faults.items():
        requests, retried = swallowed(state, seen.director)
        if retried:
            found.append(f"{name}: of {requests} requests hit, {retried} succeeded by the client's own retries")
        if state.fired and not counted[name]:
            found.append(f"{name} fired {state.fired} times without effect: no try failed by it")
    return found
