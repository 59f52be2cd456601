"""What a fault did, apart from how often it hit: the tries that ended badly while it was in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from airbed.clients.rows import Attempt
from airbed.incidents.observe import Seen
from airbed.incidents.steps import FaultState

_BAD = {"failed", "up_for_retry", "restarting", None}


def effects(faults: Mapping[str, FaultState], seen: Seen) -> dict[str, int]:
    """The number of such tries by fault; 0 for one that was left out or never came."""
    soft = {
        (run.dag_id, run.run_id, each.task_id, each.map_index)
        for runs in seen.runs.values()
        for run in runs
        for task in run.tasks.values()
        for each in task.instances
        if each.state == "soft"
    }
    bad = [each for each in seen.attempts if each.state in _BAD or _place(each) in soft]
    return {name: _overlapping(state, bad) for name, state in faults.items()}


def _place(each: Attempt) -> tuple[str, str, str, int]:
    return each.dag_id, each.run_id, each.task_id, each.map_index


def _overlapping(state: FaultState, bad: Iterable[Attempt]) -> int:
    if state.fault is None or state.in_force is None:
        return 0
    begin, end = state.in_force, state.undone
    return sum((end is None or each.start_date <= end) and _ended_after(each, begin) for each in bad)


def _ended_after(each: Attempt, moment: datetime) -> bool:
    return each.end_date is None or each.end_date >= moment


def without_effect(faults: Mapping[str, FaultState], seen: Seen) -> list[str]:
    """One line for each fault that hit something and failed no try: retries below the task may have swallowed it."""
    counted = effects(faults, seen)
    return [
        f"{name} fired {state.fired} times without effect: no try failed while it was in force"
        for name, state in faults.items()
        if state.fired and not counted[name]
    ]
