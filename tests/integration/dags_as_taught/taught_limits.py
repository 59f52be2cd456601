"""Pattern 5 as taught, with what is believed to limit a DAG: `max_active_tasks` and `max_active_runs`.

The smallest port that runs on Airflow 3.3.2. Changed: imports from `airflow.sdk`; no catch-up; smaller numbers; each
instance waits in the warehouse until the test lets its advisory lock go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task

TEST_HOLDS = 20_260_102


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", "UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=2,
    max_active_tasks=3,
)
def taught_limits() -> None:
    """Four instances a run, of which three may run at once."""

    @task
    def process_file(file: int) -> int:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        with PostgresHook("warehouse").get_conn() as warehouse:
            cursor: Any = warehouse.cursor()
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [TEST_HOLDS])
        return file

    process_file.expand(file=[0, 1, 2, 3])


taught_limits()
