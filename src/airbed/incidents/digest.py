"""A short name of what a case came to: the same outcomes give the same one, whenever and however fast."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airbed.incidents.expect import instances_of

if TYPE_CHECKING:
    from airbed.incidents.expectation import Expect, TaskExpect
    from airbed.incidents.observe import Seen
    from airbed.runs.model import Instance


def digest(expect: Expect, seen: Seen, broken: Collection[str], word: str) -> str:
    """Twelve hexadecimal digits of `normalised`."""
    text = json.dumps(normalised(expect, seen, broken, word), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def normalised(expect: Expect, seen: Seen, broken: Collection[str], word: str) -> dict[str, Any]:
    """The outcomes without times, ids and texts.

    Where the case names map_indexes, by map_index; where it counts, by class: who is hit is Airflow's choice there.
    Tries count where the case speaks of them.
    """
    runs: dict[str, Any] = {}
    last = next(reversed(seen.runs), None)
    for name, results in seen.runs.items():
        tasks: dict[str, Any] = {}
        for task in sorted({each for run in results for each in (*run.tasks, *run.singles)}):
            wanted = expect.tasks.get(f"{name}/{task}") or (expect.tasks.get(task) if name == last else None)
            tasks[task] = _of_task(wanted, [each for run in results for each in instances_of(run, task)])
        runs[name] = {"state": seen.states[name], "tasks": tasks}
    return {"verdict": word, "runs": runs, "broken": sorted(broken)}


def _of_task(wanted: TaskExpect | None, instances: Sequence[Instance]) -> Any:
    tries = wanted is not None and wanted.tries is not None
    marks = [(each.map_index, f"{each.state} {each.tries}" if tries else each.state) for each in instances]
    if _names_victims(wanted):
        return {str(index): mark for index, mark in marks}
    return dict(sorted(Counter(mark for _, mark in marks).items()))


def _names_victims(wanted: TaskExpect | None) -> bool:
    if wanted is None:
        return False
    by_index = wanted.tries is not None and wanted.tries.by_index is not None
    lists = isinstance(wanted.outcomes, dict) and any(isinstance(each, list) for each in wanted.outcomes.values())
    return by_index or lists
