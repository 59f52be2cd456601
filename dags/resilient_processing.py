"""Pattern 4: errors told apart, instance by instance.

A recoverable error (the service does not answer) raises, and Airflow retries that instance alone. A fatal one (the item
itself is bad) is logged and returned as `status: failed`: no retry would help. `aggregate` counts what became of every
item and fails the run above 5 % hard failures.

`resilient_processing_retry_policy` declares the same rules instead of coding them (Airflow 3.3, AIP-105). There a fatal
error fails its instance at the first try, so it counts as a hard failure.

Params, to try it: `items` (how many), `recoverable` (item id to the number of tries that find the service down; 99
never heals), `fatal` (ids whose payload is bad). For example

    airbed run resilient_processing --conf '{"recoverable": {"item-007": 1}, "fatal": ["item-042"]}'
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import ExceptionRetryPolicy, Param, RetryAction, RetryRule, dag, task
from airflow.sdk.exceptions import AirflowFailException

from mapping import metrics
from mapping.limits import require_between
from mapping.outcomes import outcomes
from mapping.recorded import recorded
from mapping.summary import Summary

MAX_ITEMS = 500
MAX_HARD_FAILURES = 0.05
CAP = 16  # instances at once, over all runs of the DAG

log = logging.getLogger(__name__)

SETTINGS: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
    "max_active_runs": 2,
    "default_args": {"retries": 2, "retry_delay": timedelta(seconds=30)},
    "params": {
        "items": Param(100, type="integer", minimum=0, description="How many items to process"),
        "recoverable": Param({}, type="object", description="Item id to the number of tries that fail"),
        "fatal": Param([], type="array", items={"type": "string"}, description="Ids of items with a bad payload"),
    },
    "tags": ["airbed", "mapping"],
}


class RecoverableError(Exception):
    """Another try may succeed."""


class FatalError(Exception):
    """The item itself is bad: no try can succeed."""


@task
def get_items(params: dict[str, Any]) -> list[dict[str, Any]]:
    """List the items in a fixed order: the order decides each item's map_index."""
    ids = [f"item-{number:03}" for number in range(params["items"])]
    if unknown := sorted({*params["recoverable"], *params["fatal"]} - set(ids)):
        raise AirflowFailException(f"params name items that do not exist: {', '.join(unknown)}")
    items = [
        {
            "id": name,
            "amount": "not a number" if name in params["fatal"] else number,
            "down_for": params["recoverable"].get(name, 0),
        }
        for number, name in enumerate(ids)
    ]
    return require_between(items, 1, MAX_ITEMS, "items")


def work_on(item: dict[str, Any], try_number: int) -> int:
    """Stand-in for the real work. Put yours here, and raise one of the two errors."""
    if try_number <= item["down_for"]:
        raise RecoverableError(f"the service does not answer for {item['id']}")
    if not isinstance(item["amount"], int):
        raise FatalError(f"amount is {item['amount']!r}")
    return item["amount"] * 2


# multiple_outputs=False: Airflow takes `-> dict` for one XCom (a request, a row) per key, in each instance.
@task(max_active_tis_per_dag=CAP, multiple_outputs=False)
@recorded
def process_item(item: dict[str, Any], ti=None) -> dict[str, Any]:
    """One item. RecoverableError is left to Airflow's retries."""
    try:
        result = work_on(item, ti.try_number)
    except FatalError as error:
        log.error("%s cannot be processed: %s", item["id"], error)
        return {"status": "failed", "id": item["id"], "error": str(error)}
    return {"status": "ok", "id": item["id"], "result": result}


@task(
    task_id="process_item",
    max_active_tis_per_dag=CAP,
    multiple_outputs=False,
    retry_policy=ExceptionRetryPolicy(
        rules=[
            RetryRule(FatalError, RetryAction.FAIL, reason="the item itself is bad"),
            RetryRule(RecoverableError, RetryAction.RETRY, timedelta(seconds=30), reason="the service was down"),
        ]
    ),
)
@recorded
def process_item_by_policy(item: dict[str, Any], ti=None) -> dict[str, Any]:
    """One item, with nothing caught: the policy decides."""
    return {"status": "ok", "id": item["id"], "result": work_on(item, ti.try_number)}


@task(trigger_rule="all_done", multiple_outputs=False)
def aggregate(items: list[dict[str, Any]] | None, ti=None) -> dict[str, Any]:
    """Count what became of every item. `items` is None when get_items failed: nothing listed is a failure too."""
    summary = Summary("process_item", outcomes(ti, "process_item", items))
    metrics.send(summary, dag_id=ti.dag_id)
    return summary.check(max_failed=None, max_hard=MAX_HARD_FAILURES)


@dag(**SETTINGS)
def resilient_processing() -> None:
    """Soft and hard failures apart, told by the code of the task."""
    items = get_items()
    process_item.expand(item=items) >> aggregate(items)


@dag(**SETTINGS)
def resilient_processing_retry_policy() -> None:
    """The same, told by a declared policy."""
    items = get_items()
    process_item_by_policy.expand(item=items) >> aggregate(items)


resilient_processing()
resilient_processing_retry_policy()
