"""What must hold after every case, without anybody asking for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from airbed.incidents import invariants_data, invariants_logs, invariants_processes
from airbed.runs.concurrency import highest

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.clients.rows import Attempt
    from airbed.incidents.observe import Seen

Check = Callable[["Bed", "Seen"], Iterator[str]]
Try = tuple[str, str, str, int, int]  # DAG, run, task, map_index, number
ALWAYS = frozenset({"duplicates", "lost", "caps", "orphan-processes", "leaked-secrets", "personal-data"})


def check(
    bed: Bed, names: Collection[str], seen: Seen, pools: Mapping[str, int], grown: Mapping[str, int] | None = None
) -> Mapping[str, list[str]]:
    """What was found against each of these invariants, by name; an empty list where it holds.

    `pools` are the slots of the pools that the case had set, `grown` those that its faults gave to pools: they are put
    back by now.
    """
    found = {}
    for name in sorted(names):
        try:
            found[name] = list(_caps(bed, seen, pools, grown or {}) if name == "caps" else CHECKS[name](bed, seen))
        except Exception as error:
            # An invariant that nobody could look at does not hold for all we know.
            found[name] = [f"cannot be looked at: {' '.join(str(error).split()) or type(error).__name__}"]
    return found


def _caps(bed: Bed, seen: Seen, given: Mapping[str, int], grown: Mapping[str, int]) -> Iterator[str]:
    """No mapped task ran more instances at once than its cap, no pool more tasks than its slots.

    What was deferred is left out with the pools: its try goes on meanwhile, and holds no slot. Caps count it.
    """
    for runs in seen.runs.values():
        for run in runs:
            for task in run.tasks.values():
                if task.cap is not None and task.max_running > task.cap:
                    yield f"{run.dag_id}.{task.task_id}: {task.max_running} ran at once, its cap is {task.cap}"
    slots = {name: int(pool["slots"]) for name, pool in bed.airflow.pools().items()} | dict(given)
    # A pool of -1 slots takes as many as come.
    slots = {name: max(number, grown.get(name, 0)) for name, number in slots.items() if number >= 0}
    deferred = _deferred(bed, seen)
    for pool, attempts in groupby(sorted(_attempts_by_pool(bed, seen), key=lambda pair: pair[0]), lambda pair: pair[0]):
        most = highest(attempt for _, attempt in attempts if _try_of(attempt) not in deferred)
        if pool in slots and most > slots[pool]:
            yield f"pool {pool}: {most} ran at once, it has {slots[pool]} slots"


def _deferred(bed: Bed, seen: Seen) -> set[Try]:
    """The tries that were deferred for a while."""
    ids: dict[str, set[str]] = {}
    for run in [run for runs in seen.runs.values() for run in runs]:
        ids.setdefault(run.dag_id, set()).add(run.run_id)
    return {(dag_id, *each) for dag_id, runs in ids.items() for each in bed.metadata.deferred(dag_id, sorted(runs))}


def _try_of(each: Attempt) -> Try:
    return each.dag_id, each.run_id, each.task_id, each.map_index, each.try_number


def _attempts_by_pool(bed: Bed, seen: Seen) -> Iterator[tuple[str, Attempt]]:
    pools: dict[str, dict[str, str]] = {}
    for attempt in seen.attempts:
        if attempt.dag_id not in pools:
            structure = bed.metadata.structure(attempt.dag_id)
            tasks = [each.get("__var", each) for each in structure["dag"]["tasks"]] if structure else []
            given = [{**each, **(each.get("partial_kwargs") or {})} for each in tasks]
            pools[attempt.dag_id] = {each["task_id"]: str(each.get("pool") or "default_pool") for each in given}
        if attempt.task_id in pools[attempt.dag_id]:
            yield pools[attempt.dag_id][attempt.task_id], attempt


def _silent_success(bed: Bed, seen: Seen) -> Iterator[str]:
    """No run is a success although instances failed, were lost, or a mapped task has none at all."""
    for runs in seen.runs.values():
        for run in runs:
            if run.state != "success":
                continue
            bad = [each for each in run.failures() if each.state not in ("soft", "removed")]
            bad += [each for task in run.tasks.values() for each in task.instances if each.map_index < 0]
            if bad:
                yield f"run of {run.dag_id} is a success although {bad[0].name} is {bad[0].state}"
            for task in run.tasks.values():
                if not task.instances:
                    yield f"run of {run.dag_id} is a success although {task.task_id} has no instances"


CHECKS: dict[str, Check] = {
    "silent-success": _silent_success,
    "duplicates": invariants_data.duplicates,
    "lost": invariants_data.lost,
    "orphan-objects": invariants_data.orphan_objects,
    "orphan-processes": invariants_processes.orphans,
    "leaked-secrets": invariants_logs.secrets,
    "personal-data": invariants_logs.personal_data,
}
