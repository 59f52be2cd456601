"""Pattern 2 in the demo: a day of three shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airbed.demo.playing import run, seen
from airbed.demo.scenario import Expected, Scenario, Seen
from airbed.seed import seed_pattern

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = "parallel_shard_processor"


def _day(bed: Bed, day: str, missing: tuple[int, ...] = ()) -> Seen:
    data = seed_pattern(bed, DAG, day, missing=missing)
    result = run(bed, DAG, day=day)
    with bed.database("warehouse") as warehouse:
        query = "SELECT shard_id, count(*) FROM warehouse_events.events WHERE event_date = %s GROUP BY shard_id"
        loaded = dict(warehouse.execute(query, [day]).fetchall())
    wanted = {shard: rows for shard, rows in data.events.items() if rows}  # type: ignore[attr-defined]
    problems = [] if loaded == wanted else [f"the warehouse has {loaded} rows by shard, expected {wanted}"]
    return seen(result, "process_shard", "quality_check", problems)


def _clean(bed: Bed) -> Seen:
    return _day(bed, "2026-01-05")


def _partial(bed: Bed) -> Seen:
    with bed.director.task_rule(
        dag_id=DAG, task_id="process_shard", map_index=[1], try_number=1, action="kill", when="after"
    ):
        return _day(bed, "2026-01-06")


def _over(bed: Bed) -> Seen:
    return _day(bed, "2026-01-07", missing=(2,))


SCENARIOS = [
    Scenario(DAG, "clean", "nothing", 3, _clean, Expected("success", success=3, tries={})),
    Scenario(
        DAG,
        "partial failure",
        "shard 1's task killed after its load, once",
        3,
        _partial,
        Expected("success", success=3, tries={1: 2}),
    ),
    Scenario(
        DAG,
        "over its threshold",
        "shard 2 has no partition for the day",
        3,
        _over,
        Expected("failed", success=2, hard=1, error=r"shard 2 \(shard_2_db\) is missing"),
    ),
]
