"""Pattern 5 on a bed: both caps in a backfill, from start and end times; damage, retries, reruns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from backfilling import (
    DAG,
    DAYS,
    INSTANCES_CAP,
    ITEMS,
    ITEMS_VARIABLE,
    LONG,
    RUNS_CAP,
    assert_every_file_was_processed_once,
    checksum,
    days_after,
    keys,
    midnight,
    new_days,
    variable,
)

from airbed.runs.backfill import run_backfill
from airbed.runs.outcomes import collect

pytestmark = pytest.mark.timeout(LONG + 120)


@pytest.fixture
def new_day(bed: Any) -> Callable[[], date]:
    """A day for a manual run, far from the others."""
    return lambda: days_after(bed, {"manual"}, date(2026, 6, 1), 1)[0]


def test_the_caps_hold_in_a_backfill(bed: Any) -> None:
    days = new_days(bed, DAYS)
    result = run_backfill(bed, DAG, days[0], days[-1], max_active_runs=2, conf={"items": ITEMS}, timeout=LONG)
    assert result.ok
    assert [(each.logical_date, each.state) for each in result.days] == [(midnight(day), "success") for day in days]
    assert_every_file_was_processed_once(bed, result.run_ids, days)
    assert result.max_runs == RUNS_CAP
    assert 2 <= result.max_running_by_task["process_file"] <= INSTANCES_CAP


def test_a_backfills_own_limit_of_runs_wins_and_the_cap_of_instances_holds(bed: Any) -> None:
    """The DAG says 2 runs, the backfill 5: five run, and still no more than 20 of their 150 instances at once."""
    days = new_days(bed, 5)
    result = run_backfill(bed, DAG, days[0], days[-1], max_active_runs=5, conf={"items": ITEMS}, timeout=LONG)
    assert result.ok
    assert_every_file_was_processed_once(bed, result.run_ids, days)
    assert result.max_runs == 5
    assert 2 <= result.max_running_by_task["process_file"] <= INSTANCES_CAP


def test_damage_under_the_threshold_a_healed_instance_and_a_rerun(bed: Any) -> None:
    days, broken = new_days(bed, 2), [3, 11]  # 2 of 20: exactly 10 %
    conf = {"items": 20, "broken": broken}
    with bed.director.task_rule(dag_id=DAG, task_id="process_file", map_index=[5], try_number=1, action="raise"):
        first = run_backfill(bed, DAG, days[0], days[-1], conf=conf, timeout=LONG)
    assert first.ok
    assert first.max_active_runs == RUNS_CAP
    before = [collect(bed, DAG, run_id) for run_id in first.run_ids]
    for result, day in zip(before, days, strict=True):
        task = result.task("process_file")
        assert (task.success, task.indexes("soft"), task.hard) == (18, broken, 0)
        assert task.tries == [1] * 5 + [2] + [1] * 14
        assert task.values[5] == {"status": "ok", "key": keys(day, 20)[5], "checksum": checksum(keys(day, 20)[5])}
        failed = [
            {"id": keys(day, 20)[n], "map_index": n, "kind": "soft", "tries": 1, "error": "the file is damaged"}
            for n in broken
        ]
        report = result.single("summarize_run").value
        assert (report["success"], report["soft"], report["hard"]) == (18, 2, 0)
        assert report["failed_items"] == failed

    nothing = run_backfill(bed, DAG, days[0], days[-1], conf=conf, timeout=LONG)
    assert [(each.state, each.reason) for each in nothing.days] == [("skipped", "already exists")] * 2

    again = run_backfill(bed, DAG, days[0], days[-1], conf=conf, reprocess="completed", timeout=LONG)
    assert again.run_ids == first.run_ids
    after = [collect(bed, DAG, run_id) for run_id in again.run_ids]
    for old, new in zip(before, after, strict=True):
        assert new.state == "success"
        assert new.task("process_file").tries == [2] * 5 + [3] + [2] * 14
        assert new.task("process_file").values == old.task("process_file").values
        counts = {key: value for key, value in new.single("summarize_run").value.items() if key != "failed_items"}
        assert counts.items() <= old.single("summarize_run").value.items()


def test_damage_over_the_threshold(bed: Any, run_dag: Any, new_day: Callable[[], date]) -> None:
    day = new_day()
    result = run_dag(DAG, day=day, conf={"items": 20, "broken": [0, 7, 19]}, timeout=LONG)
    assert result.state == "failed"
    assert (result.task("process_file").success, result.task("process_file").indexes("soft")) == (17, [0, 7, 19])
    error = result.single("summarize_run").error
    assert "20 items: success 17, soft 3, hard 0, skipped 0" in error
    assert "15.0% failed, the limit is 10%" in error
    log = bed.airflow.log(DAG, result.run_id, "summarize_run")  # the run's error texts are cut
    for n in (0, 7, 19):
        assert f"{keys(day, 20)[n]} (map_index {n}): soft, 1 try: the file is damaged" in log


def test_the_variable_counts_only_where_the_conf_does_not(bed: Any, run_dag: Any, new_day: Callable[[], date]) -> None:
    with variable(bed, ITEMS_VARIABLE, 3):
        assert run_dag(DAG, day=new_day(), timeout=LONG).task("process_file").expected == 3
        assert run_dag(DAG, day=new_day(), conf={"items": 2}, timeout=LONG).task("process_file").expected == 2
