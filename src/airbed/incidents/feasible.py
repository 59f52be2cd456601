"""Gates that can never fill are refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airbed.errors import UsageError
from airbed.incidents.order import dag_of
from airbed.runs.structure import expected_lengths
from airbed.runs.trigger import ensure_dag_is_ready

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.moments import Arrived
    from airbed.incidents.schema import Case

DEFAULT_POOL = "default_pool"


def ensure_gates_can_fill(bed: Bed, case: Case, items: Mapping[tuple[str, str], int]) -> None:
    """UsageError for a gate that waits for more instances than there can be at once.

    `items` is how many instances each mapped task (DAG, task) had at most in a run without faults. Only held instances
    count together: those of a gate that lets everybody through may come one after the other.
    """
    pools = {name: int(pool["slots"]) for name, pool in bed.airflow.pools().items()}
    for name, asked in _gates(case):
        dag_id = asked.dag or next(run.dag for run in case.all_runs if run.dag)
        ensure_dag_is_ready(bed, dag_id, 60)
        structure = bed.metadata.structure(dag_id)
        if structure is None:
            continue
        of_dag = {task: number for (dag, task), number in items.items() if dag == dag_id}
        runs = _number_of_runs(case, dag_id)
        for most, why in limits(structure, asked, of_dag, pools, bed.spec.parallelism, runs):
            if asked.count > most:
                raise UsageError(
                    f"{name}: {asked.count} instances of {asked.task} can never have arrived: {why};"
                    f" wait for {most} or fewer"
                )


def limits(
    structure: Mapping[str, Any],
    asked: Arrived,
    items: Mapping[str, int],
    pools: Mapping[str, int],
    parallelism: int,
    runs: int | None = 1,
) -> Iterator[tuple[int, str]]:
    """Every limit on how many instances can stand at a gate, with what sets it; UsageError for an unknown task.

    `runs` is how many runs of the DAG there can be at once, all of which arrive at the same gate; None: not known.
    """
    tasks = {each.get("__var", each)["task_id"]: each.get("__var", each) for each in structure["dag"]["tasks"]}
    if asked.task not in tasks:
        raise UsageError(f"there is no task '{asked.task}' to arrive; the DAG has: {', '.join(sorted(tasks))}")
    given = {**tasks[asked.task], **(tasks[asked.task].get("partial_kwargs") or {})}
    if runs is not None:
        for most, why in _limits_of_a_run(structure, asked, items, given):
            yield most * runs, why + (f", in each of {runs} runs" if runs > 1 else "")
    if not asked.hold:
        return
    cap = given.get("max_active_tis_per_dag")
    if cap is not None:
        yield int(cap), f"its cap (max_active_tis_per_dag) is {cap}"
    pool = str(given.get("pool") or DEFAULT_POOL)
    if pools.get(pool, -1) >= 0:  # -1: as many as you like
        slots = pools[pool] // int(given.get("pool_slots") or 1)
        yield slots, f"pool {pool} has {pools[pool]} slots"
    yield parallelism, f"the bed runs {parallelism} tasks at once"


def _limits_of_a_run(
    structure: Mapping[str, Any], asked: Arrived, items: Mapping[str, int], given: Mapping[str, Any]
) -> Iterator[tuple[int, str]]:
    lengths = expected_lengths(structure, {}, None)
    number = items.get(asked.task, lengths.get(asked.task) if asked.task in lengths else 1)
    tries = len(asked.try_number or [1])
    if number is not None:
        yield number * tries, f"it has {number} instances"
    if asked.map_index is not None and number is not None and max(asked.map_index) >= number:
        known = len([index for index in asked.map_index if index < number])
        yield known * tries, f"it has {number} instances, and map_index {max(asked.map_index)} is none of them"
    if not asked.hold:
        return
    cap = given.get("max_active_tis_per_dagrun")
    if cap is not None:
        yield int(cap), f"its cap (max_active_tis_per_dagrun) is {cap}"
    dag_limit = structure["dag"].get("max_active_tasks")
    if dag_limit is not None:
        yield int(dag_limit), f"max_active_tasks of its DAG is {dag_limit}"


def _number_of_runs(case: Case, dag_id: str) -> int | None:
    """How many runs of a DAG arrive at a gate; None where a backfill makes as many as it has days."""
    listed = case.all_runs
    runs = [run for index, run in enumerate(listed) if dag_of(listed, index) == dag_id]
    return None if any(run.backfill is not None for run in runs) else max(len(runs), 1)


def _gates(case: Case) -> Iterator[tuple[str, Arrived]]:
    for step in case.faults:
        if step.when.arrived is not None:
            yield step.name, step.when.arrived
        if step.until.arrived is not None:
            yield f"{step.name}.until", step.until.arrived
