"""Pattern 5: a year of days without a storm.

Daily since 2025-01-01 with catch-up on: switching it on starts every missed day. Without limits that is 365 x 1000
instances at once. What holds the storm back, and what does not:

- `max_active_runs=2` holds in catch-up, but a backfill brings its own value, which wins: start one with
  `airbed backfill backfill_safe_dag --from 2025-01-01 --to 2025-01-14 --max-active-runs 2`.
- `max_active_tis_per_dag=20` holds over ALL runs of the DAG, catch-up and backfill alike. This is the limit to rely on.
- `max_active_tasks` is per run, not per DAG: with two runs it allows twice its number.

The number of files a day: param `items` of a run or backfill, else the Airflow Variable `backfill_safe_dag_items` (runs
of the catch-up have no conf), else 1000. Param `broken` lists the numbers of files whose content is damaged.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, Param, Variable, dag, get_current_context, task

from mapping import metrics
from mapping.day import run_day
from mapping.limits import require_between
from mapping.outcomes import outcomes
from mapping.recorded import recorded
from mapping.summary import Summary

ITEMS_VARIABLE = "backfill_safe_dag_items"
DEFAULT_ITEMS = 1000
MAX_ITEMS = 1000
MAX_FAILURES = 0.10
BLOCKS = 16  # MiB hashed by an instance: stand-in for work

log = logging.getLogger(__name__)


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", "UTC"),
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=True,
    max_active_runs=2,
    max_active_tasks=20,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=300), "execution_timeout": timedelta(hours=1)},
    params={
        "items": Param(None, type=["null", "integer"], minimum=0, description="Files a day; empty: the Variable"),
        "broken": Param([], type="array", items={"type": "integer"}, description="Numbers of damaged files"),
    },
    tags=["airbed", "mapping", "backfill"],
)
def backfill_safe_dag() -> None:
    """Process every file of a day, for as many days as are missing."""

    @task
    def list_files_for_date(params: dict[str, Any]) -> list[dict[str, Any]]:
        """The files of the run's own day: from its data interval, so a backfill of May lists May."""
        day = run_day(get_current_context())
        count = params["items"]
        if count is None:
            count = int(Variable.get(ITEMS_VARIABLE, default=DEFAULT_ITEMS))
        files = [{"key": f"{day:%Y/%m/%d}/part-{n:04}", "damaged": n in params["broken"]} for n in range(count)]
        return require_between(files, 1, MAX_ITEMS, f"files of {day}")

    # multiple_outputs=False: Airflow takes `-> dict` for one XCom (a request, a row) per key, in each instance.
    @task(max_active_tis_per_dag=20, multiple_outputs=False)
    @recorded
    def process_file(file: dict[str, Any]) -> dict[str, Any]:
        """One file. Put your work here; a damaged file is a soft failure, everything else is retried."""
        if file["damaged"]:
            log.error("%s is damaged", file["key"])
            return {"status": "failed", "key": file["key"], "error": "the file is damaged"}
        return {"status": "ok", "key": file["key"], "checksum": work_on(file["key"])}

    @task(trigger_rule="all_done", multiple_outputs=False)
    def summarize_run(files: list[dict[str, Any]] | None, ti: Any = None) -> dict[str, Any]:
        """Decide the day from what became of every file."""
        summary = Summary("process_file", outcomes(ti, "process_file", files))
        metrics.send(summary, dag_id=ti.dag_id)
        return summary.check(max_failed=MAX_FAILURES)

    files = list_files_for_date()
    process_file.expand(file=files) >> summarize_run(files)


def work_on(key: str) -> str:
    """Stand-in for work: some milliseconds of CPU, the same answer for the same key."""
    digest, block = hashlib.sha256(key.encode()), bytes(1 << 20)
    for _ in range(BLOCKS):
        digest.update(block)
    return digest.hexdigest()


backfill_safe_dag()
