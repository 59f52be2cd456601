"""Pattern 4 as taught: instances that raise and are retried, and an aggregator that counts None.

The smallest port that runs on Airflow 3.3.2. Changed: imports from `airflow.sdk`; the number of items is a param; no
metrics. `taught_items_bounded` is the same with one more line: an execution_timeout.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import dag, task


def taught(dag_id: str, **of_the_task: Any) -> None:
    """The DAG; `of_the_task` are further arguments of its mapped task."""

    @dag(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False, params={"items": 10})
    def made() -> None:
        @task
        def get_items(params: dict[str, Any]) -> list[dict[str, Any]]:
            return [{"id": f"item-{number:03}", "amount": number} for number in range(params["items"])]

        @task(retries=2, retry_delay=timedelta(seconds=30), **of_the_task)
        def process_item(item: dict[str, Any]) -> dict[str, Any]:
            return {"status": "ok", "id": item["id"], "result": item["amount"] * 2}

        @task(trigger_rule="all_done")
        def aggregate(results: Any) -> dict[str, int]:
            done = list(results)
            hard = sum(1 for each in done if each is None)
            soft = sum(1 for each in done if each is not None and each["status"] == "failed")
            if hard > 0.05 * len(done):
                raise RuntimeError(f"{hard} of {len(done)} items failed")
            return {"success": len(done) - hard - soft, "soft": soft, "hard": hard}

        aggregate(process_item.expand(item=get_items()))

    made()


taught("taught_items")
taught("taught_items_bounded", execution_timeout=timedelta(seconds=3))
