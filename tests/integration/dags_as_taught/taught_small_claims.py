"""Claims that a task or two can show: patterns 1 and 2 as taught, retries and XComs, the keys of a run.

Pattern 2 is the smallest port that runs on Airflow 3.3.2: imports from `airflow.sdk`, no database. Of pattern 1 only
the list that is too long for `[core] max_map_length`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task
from airflow.sdk.exceptions import AirflowFailException

RETRY_DELAY = timedelta(seconds=30)
DATES = ("logical_date", "data_interval_start", "data_interval_end", "ds")


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def taught_small_claims() -> None:
    """Each part stands alone; start it without a logical date."""

    @task
    def dates_of_the_run(**context: Any) -> list[str]:
        return [key for key in DATES if key in context]

    @task
    def get_active_shards() -> list[dict[str, str]]:
        return [{"shard_id": str(n), "conn_id": f"shard_{n}_db", "schema": "users"} for n in range(2)]

    @task
    def process_shard(shard_info: dict[str, str], target_schema: str, batch_size: int) -> str:
        return f"{shard_info['shard_id']} {target_schema} {batch_size}"

    @task(retries=1, retry_delay=RETRY_DELAY)
    def list_files() -> list[int]:
        return list(range(1025))

    @task
    def process_file(file: int) -> int:
        return file

    @task(trigger_rule="all_done")
    def summarize_run(results: Any) -> int:
        return len(results)

    @task
    def annotated(item: int) -> dict[str, int]:
        return {"item": item, "rows": 1}

    @task(multiple_outputs=False)
    def annotated_and_kept_whole(item: int) -> dict[str, int]:
        return {"item": item, "rows": 1}

    @task(retries=1, retry_delay=RETRY_DELAY)
    def tries_again(ti: Any = None) -> Any:
        if ti.try_number == 1:
            ti.xcom_push("mark", "of the first try")
            raise ValueError("heals")
        return ["found", ti.xcom_pull(task_ids="tries_again", key="mark")]

    @task
    def gives_up(ti: Any = None) -> None:
        ti.xcom_push("mark", "of the only try")
        raise AirflowFailException("no retry")

    dates_of_the_run()
    process_shard.partial(target_schema="warehouse_events", batch_size=10000).expand_kwargs(get_active_shards())
    summarize_run(process_file.expand(file=list_files()))
    annotated.expand(item=[1, 2])
    annotated_and_kept_whole.expand(item=[1, 2])
    tries_again()
    gives_up()


def interval_dag(dag_id: str, schedule: Any) -> None:
    """A DAG with one task that tells its run's data interval."""

    @dag(dag_id, schedule=schedule, start_date=datetime(2026, 1, 1), catchup=False)
    def made() -> None:
        @task
        def interval(data_interval_start: Any = None, data_interval_end: Any = None) -> list[str]:
            return [data_interval_start.isoformat(), data_interval_end.isoformat()]

        interval()

    made()


taught_small_claims()
interval_dag("taught_daily", "@daily")
interval_dag("taught_data_interval", CronDataIntervalTimetable("0 0 * * *", "UTC"))
