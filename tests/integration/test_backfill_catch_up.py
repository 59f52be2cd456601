"""Pattern 5 in catch-up: the scheduler makes the runs of 14 days; both caps, from start and end times."""

from __future__ import annotations

from datetime import timedelta
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
    midnight,
    new_days,
    variable,
)
from helpers import until

from airbed.runs.concurrency import highest, highest_by
from airbed.schedules import schedules_on

pytestmark = pytest.mark.timeout(LONG + 120)


def test_the_caps_hold_in_catch_up(bed: Any) -> None:
    """The scheduler makes the runs: 14 days are let through, the two that follow are stopped and deleted."""
    dag = bed.airflow.dag(DAG)
    parsed = bed.metadata.dag(DAG).last_parsed_time
    bed.airflow.reparse(dag["file_token"])  # Airflow then counts on from the last scheduled or backfilled day
    until(lambda: bed.metadata.dag(DAG).last_parsed_time > parsed, "the DAG's file is parsed again", LONG)
    days = new_days(bed, DAYS)
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
