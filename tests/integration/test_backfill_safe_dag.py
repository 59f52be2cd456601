"""Pattern 5 on a bed: both caps in a backfill and in catch-up, from start and end times; damage, retries, reruns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from helpers import until

from airbed.runs.backfill import run_backfill
from airbed.runs.concurrency import highest, highest_by
from airbed.runs.outcomes import collect
from airbed.schedules import schedules_on

DAG = "backfill_safe_dag"
ITEMS_VARIABLE = "backfill_safe_dag_items"
DAYS, ITEMS = 14, 30
INSTANCES_CAP, RUNS_CAP = 20, 2
LONG = 1800  # seconds that a range of days may take on a busy machine

pytestmark = pytest.mark.timeout(LONG + 120)

NewDays = Callable[[int], list[date]]


def days_after(bed: Any, run_types: set[str], start: date, count: int) -> list[date]:
    """Days in a row, after the last one that this DAG has a run of these types of."""
    taken = [run.logical_date.date() for run in bed.metadata.runs(DAG) if run.run_type in run_types]
    first = max(taken) + timedelta(days=1) if taken else start
    return [first + timedelta(days=n) for n in range(count)]


@pytest.fixture
def new_days(bed: Any) -> NewDays:
    """Days that follow what was backfilled and caught up: a catch-up goes on there, so manual runs stay off them."""
    return lambda count: days_after(bed, {"scheduled", "backfill"}, date(2025, 1, 1), count)


@pytest.fixture
def new_day(bed: Any) -> Callable[[], date]:
    """A day for a manual run, far from the others."""
    return lambda: days_after(bed, {"manual"}, date(2026, 6, 1), 1)[0]


@contextmanager
def variable(bed: Any, key: str, value: object) -> Iterator[None]:
    """An Airflow Variable that is gone at the end."""
    bed.airflow.set_variable(key, str(value))
    try:
        yield
    finally:
        bed.airflow.delete_variable(key)


def keys(day: date, items: int) -> list[str]:
    """The files of a day."""
    return [f"{day:%Y/%m/%d}/part-{n:04}" for n in range(items)]


def checksum(key: str) -> str:
    """What the DAG's stand-in for work makes of a key."""
    return hashlib.sha256(key.encode() + bytes(64 << 20)).hexdigest()


def midnight(day: date) -> datetime:
    """The logical date of a day."""
    return datetime.combine(day, datetime.min.time(), UTC)


def assert_every_file_was_processed_once(bed: Any, run_ids: list[str], days: list[date]) -> None:
    """Each run its own day, each instance its own file, at the first try."""
    assert len(run_ids) == len(days)
    checksums = set()
    for run_id, day in zip(run_ids, days, strict=True):
        result = collect(bed, DAG, run_id)
        task = result.task("process_file")
        assert (result.state, task.expected, task.success, task.tries) == ("success", ITEMS, ITEMS, [1] * ITEMS)
        assert [value["key"] for value in task.values] == keys(day, ITEMS)
        assert [value["status"] for value in task.values] == ["ok"] * ITEMS
        report = result.single("summarize_run").value
        assert (report["items"], report["success"], report["failed_items"]) == (ITEMS, ITEMS, [])
        checksums |= {value["checksum"] for value in task.values}
    assert len(checksums) == len(days) * ITEMS


def test_the_caps_hold_in_a_backfill(bed: Any, new_days: NewDays) -> None:
    days = new_days(DAYS)
    result = run_backfill(bed, DAG, days[0], days[-1], max_active_runs=2, conf={"items": ITEMS}, timeout=LONG)
    assert result.ok
    assert [(each.logical_date, each.state) for each in result.days] == [(midnight(day), "success") for day in days]
    assert_every_file_was_processed_once(bed, result.run_ids, days)
    assert result.max_runs == RUNS_CAP
    assert 2 <= result.max_running_by_task["process_file"] <= INSTANCES_CAP


def test_a_backfills_own_limit_of_runs_wins_and_the_cap_of_instances_holds(bed: Any, new_days: NewDays) -> None:
    """The DAG says 2 runs, the backfill 5: five run, and still no more than 20 of their 150 instances at once."""
    days = new_days(5)
    result = run_backfill(bed, DAG, days[0], days[-1], max_active_runs=5, conf={"items": ITEMS}, timeout=LONG)
    assert result.ok
    assert_every_file_was_processed_once(bed, result.run_ids, days)
    assert result.max_runs == 5
    assert 2 <= result.max_running_by_task["process_file"] <= INSTANCES_CAP


def test_the_caps_hold_in_catch_up(bed: Any, new_days: NewDays) -> None:
    """The scheduler makes the runs: 14 days are let through, the two that follow are stopped and deleted."""
    dag = bed.airflow.dag(DAG)
    parsed = bed.metadata.dag(DAG).last_parsed_time
    bed.airflow.reparse(dag["file_token"])  # Airflow then counts on from the last scheduled or backfilled day
    until(lambda: bed.metadata.dag(DAG).last_parsed_time > parsed, "the DAG's file is parsed again", LONG)
    days = new_days(DAYS)
    older = {run.run_id for run in bed.metadata.runs(DAG)}

    def caught_up() -> list[Any]:
        return [run for run in bed.metadata.runs(DAG) if run.run_id not in older]

    with variable(bed, ITEMS_VARIABLE, ITEMS), schedules_on(bed, DAG):
        until(
            lambda: len(caught_up()) >= DAYS and all(run.ended for run in caught_up()[:DAYS]),
            f"{DAYS} days are caught up",
            LONG,
        )
        bed.airflow.pause(DAG)
        until(lambda: all(each.end_date for each in bed.metadata.attempts(DAG)), "nothing runs any more", LONG)
        runs = caught_up()
        attempts = bed.metadata.attempts(DAG, [run.run_id for run in runs])
        assert bed.metadata.dag(DAG).is_paused
        # In the database: the API takes a run's lock from the scheduler, which can be longer than a request lives.
        with bed.database("metadata") as connection:
            surplus = [run.run_id for run in runs[DAYS:]]
            connection.execute("DELETE FROM dag_run WHERE dag_id = %s AND run_id = ANY(%s)", [DAG, surplus])

    assert caught_up() == runs[:DAYS]
    assert {run.run_type for run in runs} == {"scheduled"}
    assert [run.logical_date for run in runs[:DAYS]] == [midnight(day) for day in days]
    assert [(run.data_interval_start, run.data_interval_end) for run in runs[:DAYS]] == [
        (midnight(day), midnight(day) + timedelta(days=1)) for day in days
    ]
    assert_every_file_was_processed_once(bed, [run.run_id for run in runs[:DAYS]], days)
    assert highest([run for run in runs[:DAYS] if run.start_date]) == RUNS_CAP
    assert 2 <= highest_by(attempts, lambda each: each.task_id)["process_file"] <= INSTANCES_CAP
    assert not bed.spec.schedules
    assert not bed.files.read_spec().schedules


def test_damage_under_the_threshold_a_healed_instance_and_a_rerun(bed: Any, new_days: NewDays) -> None:
    days, broken = new_days(2), [3, 11]  # 2 of 20: exactly 10 %
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
