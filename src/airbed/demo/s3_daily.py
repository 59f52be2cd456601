"""Pattern 1 in the demo: a day of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airbed.demo.playing import run, seen
from airbed.demo.scenario import Expected, Scenario, Seen
from airbed.seed import seed_pattern

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = "s3_daily_processor"
FILES = 24


def _staged(bed: Bed, prefix: str) -> set[str]:
    listed = bed.s3.list_objects_v2(Bucket="processed-data", Prefix=prefix.replace("raw/", "staging/", 1))
    return {each["Key"] for each in listed.get("Contents", [])}


def _day(bed: Bed, day: str, unreadable: int) -> Seen:
    data = seed_pattern(bed, DAG, day, files=FILES, unreadable=unreadable)
    result = run(bed, DAG, day=day)
    wanted = {
        each.key.replace("raw/", "staging/", 1).replace(".parquet", "_v2.parquet")
        for each in data.files  # type: ignore[attr-defined]
        if each.readable
    }
    staged = _staged(bed, data.prefix)  # type: ignore[attr-defined]
    problems = [] if staged == wanted else [f"{len(staged ^ wanted)} staged objects are missing or too many"]
    return seen(result, "process_file", "summarize_run", problems)


def _clean(bed: Bed) -> Seen:
    return _day(bed, "2026-01-05", unreadable=0)


def _partial(bed: Bed) -> Seen:
    with bed.director.task_rule(
        dag_id=DAG,
        task_id="process_file",
        map_index=[3],
        try_number=1,
        action="raise",
        exception="builtins:ConnectionError",
        message="the connection was reset",
    ):
        return _day(bed, "2026-01-06", unreadable=1)


def _over(bed: Bed) -> Seen:
    return _day(bed, "2026-01-07", unreadable=4)


SCENARIOS = [
    Scenario(DAG, "clean", "nothing", 8, _clean, Expected("success", success=24, tries={})),
    Scenario(
        DAG,
        "partial failure",
        "1 of 24 files unreadable; a reset at file 3, once",
        8,
        _partial,
        Expected("success", success=23, soft=1, tries={3: 2}),
    ),
    Scenario(
        DAG,
        "over its threshold",
        "4 of 24 files unreadable",
        8,
        _over,
        Expected("failed", success=20, soft=4, error=r"24 items: success 20, soft 4, .* 16.7% failed"),
    ),
]
