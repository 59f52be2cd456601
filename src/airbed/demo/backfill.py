"""Pattern 5 in the demo: a range of days under both caps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airbed.demo.playing import seen_runs
from airbed.demo.scenario import Expected, Scenario, Seen
from airbed.runs.backfill import run_backfill

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = "backfill_safe_dag"
ITEMS = 16


def _backfill(bed: Bed, first: str, last: str, broken: list[int]) -> Seen:
    conf = {"items": ITEMS, "broken": broken}
    result = run_backfill(bed, DAG, first, last, max_active_runs=2, conf=conf, timeout=300)
    highest = result.max_running_by_task.get("process_file", 0)
    found = seen_runs(bed, f"backfill {result.backfill_id}", DAG, result.run_ids, "process_file", highest)
    problems = [] if result.max_runs <= 2 else [f"{result.max_runs} runs at once, the cap is 2"]
    return replace(found, problems=tuple(problems))


def _clean(bed: Bed) -> Seen:
    return _backfill(bed, "2025-01-01", "2025-01-05", [])


def _partial(bed: Bed) -> Seen:
    return _backfill(bed, "2025-02-01", "2025-02-03", [4])


def _over(bed: Bed) -> Seen:
    return _backfill(bed, "2025-03-01", "2025-03-02", [1, 2])


SCENARIOS = [
    Scenario(DAG, "clean", "nothing; 5 days, 2 at once", 20, _clean, Expected("success", success=5 * ITEMS)),
    Scenario(
        DAG, "partial failure", "1 of 16 files damaged on 3 days", 20, _partial, Expected("success", success=45, soft=3)
    ),
    Scenario(
        DAG, "over its threshold", "2 of 16 files damaged on 2 days", 20, _over, Expected("failed", success=28, soft=4)
    ),
]
