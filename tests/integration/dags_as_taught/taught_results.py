"""Patterns 3 and 4 as taught: an aggregator that takes the mapped results and counts None.

The smallest port that runs on Airflow 3.3.2. Changed: imports from `airflow.sdk`; the items are a param, and each says
how its instance ends; one retry instead of two; the verdict is returned instead of raised, so that a test reads it.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

ENDED = {"success", "failed", "skipped"}


def wait_for_the_others(ti: Any) -> None:
    """Return when every other instance of this task has ended."""
    own = f"{ti.task_id}_{ti.map_index}"
    while True:
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])[ti.run_id]
        if all(state in ENDED for key, state in states.items() if key != own):
            return
        time.sleep(0.2)


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, params={"items": ["ok"]})
def taught_results() -> None:
    """Items: ok, none, skip, fail, late (fails once, then ends after all others); null: the listing fails."""

    @task
    def get_items(params: dict[str, Any]) -> list[str]:
        if params["items"] is None:
            raise AirflowFailException("nothing can be listed")
        return params["items"]

    @task(retries=1, retry_delay=timedelta(seconds=30))
    def process_item(item: str, ti: Any = None) -> Any:
        if item == "fail":
            raise AirflowFailException("hard")
        if item == "skip":
            raise AirflowSkipException("not today")
        if item == "late":
            if ti.try_number == 1:
                raise ValueError("heals")
            wait_for_the_others(ti)
        return None if item == "none" else f"{item} {ti.map_index}"

    @task(trigger_rule="all_done")
    def aggregate(results: Any) -> dict[str, Any]:
        failed = sum(1 for result in results if result is None)
        verdict = "too many failures" if failed > 0.1 * len(results) else "OK"
        return {"results": list(results), "length": len(results), "failed": failed, "verdict": verdict}

    aggregate(process_item.expand(item=get_items()))


taught_results()
