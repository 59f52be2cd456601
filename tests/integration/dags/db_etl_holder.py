"""Another reader of the shards: holds 2 of the 4 slots of pool `db_etl` until the test lets its advisory lock go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import dag, task

TEST_HOLDS = 20_260_101


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def db_etl_holder() -> None:
    """Two instances that wait in the warehouse."""

    @task(pool="db_etl")
    def hold(number: int) -> int:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        with PostgresHook("warehouse").get_conn() as warehouse:
            cursor: Any = warehouse.cursor()
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [TEST_HOLDS])
        return number

    hold.expand(number=[0, 1])


db_etl_holder()
