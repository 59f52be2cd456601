"""Gates that can never fill are refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airbed.errors import UsageError
from airbed.runs.structure import caps, expected_lengths
from airbed.runs.trigger import ensure_dag_is_ready

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.moments import Arrived
    from airbed.incidents.schema import Case

DEFAULT_POOL = "default_pool"


def ensure_gates_can_fill(bed: Bed, case: Case, items: Mapping[str, int]) -> None:
    """UsageError for a gate that waits for more instances than there can be at once.

    `items` is how many instances each mapped task had in the control run. Only held instances count together: those of
    a gate that lets everybody through may come one after the other.
    """
    pools = {name: int(pool["slots"]) for name, pool in bed.airflow.pools().items()}
    for name, asked in _gates(case):
        dag_id = asked.dag or next(run.dag for run in case.all_runs if run.dag)
        ensure_dag_is_ready(bed, dag_id, 60)
        structure = bed.metadata.structure(dag_id)
        if structure is None:
            continue
        for most, why in limits(structure, asked, items, pools, bed.spec.parallelism):
            if asked.count > most:
                raise UsageError(
                    f"{name}: {asked.count} instances of {asked.task} can never have arrived: {why};"
                    f" wait for {most} or fewer"
                )


def limits(
    structure: Mapping[str, Any], asked: Arrived, items: Mapping[str, int], pools: Mapping[str, int], parallelism: int
) -> Iterator[tuple[int, str]]:
    """Every limit on how many instances can stand at a gate, with what sets it; UsageError for an unknown task."""
    tasks = {each.get("__var", each)["task_id"]: each.get("__var", each) for each in structure["dag"]["tasks"]}
    if asked.task not in tasks:
        raise UsageError(f"there is no task '{asked.task}' to arrive; the DAG has: {', '.join(sorted(tasks))}")
    lengths = expected_lengths(structure, {}, {})
    number = items.get(asked.task, lengths.get(asked.task) if asked.task in lengths else 1)
    tries = len(asked.try_number or [1])
    if number is not None:
        yield number * tries, f"it has {number} instances"
    if asked.map_index is not None and number is not None and max(asked.map_index) >= number:
        known = len([index for index in asked.map_index if index < number])
        yield known * tries, f"it has {number} instances, and map_index {max(asked.map_index)} is none of them"
    if not asked.hold:
        return
    given = {**tasks[asked.task], **(tasks[asked.task].get("partial_kwargs") or {})}
    if asked.task in caps(structure):
        yield caps(structure)[asked.task], f"its cap (max_active_tis_per_dag) is {caps(structure)[asked.task]}"
    dag_limit = structure["dag"].get("max_active_tasks")
    if dag_limit is not None:
        yield int(dag_limit), f"max_active_tasks of its DAG is {dag_limit}"
    pool = str(given.get("pool") or DEFAULT_POOL)
    if pool in pools:
        slots = pools[pool] // int(given.get("pool_slots") or 1)
        yield slots, f"pool {pool} has {pools[pool]} slots"
    yield parallelism, f"the bed runs {parallelism} tasks at once"


def _gates(case: Case) -> Iterator[tuple[str, Arrived]]:
    for step in case.faults:
        if step.when.arrived is not None:
            yield step.name, step.when.arrived
        if step.until.arrived is not None:
            yield f"{step.name}.until", step.until.arrived
