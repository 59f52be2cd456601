"""Instances that end in every way there is, and an aggregator that tells what `mapping.outcomes` makes of them."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from mapping.outcomes import outcomes
from mapping.recorded import recorded

SETTINGS: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
    "default_args": {"retries": 1, "retry_delay": timedelta(seconds=1)},
}
STORM = {3: "fail", 4: "none", 5: "skip"}  # by the last digit, of 500


def end_as(kind: str) -> Any:
    """End as `kind` says: a value, None, 0, a soft failure, or not at all."""
    if kind == "none":
        return None
    if kind == "zero":
        return 0
    if kind == "soft":
        return {"status": "failed", "error": "soft as butter"}
    if kind == "fail":
        raise AirflowFailException("hard as stone")
    if kind == "exhaust":
        raise ValueError("in vain")
    if kind == "skip":
        raise AirflowSkipException("not today")
    if kind == "retry" and get_current_context()["ti"].try_number == 1:
        raise ValueError("first time")
    if kind == "push":
        get_current_context()["ti"].xcom_push("return_value", "pushed, then failed")
        raise AirflowFailException("pushed")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"v": kind}


class Requests:
    """Counts what the task sends to its supervisor, each of which is one request to the API server."""

    def __enter__(self) -> Requests:
        from airflow.sdk.execution_time import task_runner

        self.channel = type(task_runner.SUPERVISOR_COMMS)
        self.original = original = self.channel.send
        self.sent = sent = Counter[str]()
        self.began = time.perf_counter()

        def send(channel: Any, msg: Any, *args: Any, **kwargs: Any) -> Any:
            sent[type(msg).__name__] += 1
            return original(channel, msg, *args, **kwargs)

        self.channel.send = send
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.send = self.original
        self.seconds = time.perf_counter() - self.began


@dag(**SETTINGS, params={"kinds": ["value"], "then": None, "expected": None})
def mapping_outcomes() -> None:
    """`kinds` are the ends (null: the listing fails), `then` a rerun's ("boom": it fails), `expected` a count."""

    @task(retries=0)
    def kinds(params: dict[str, Any], ti: Any = None) -> list[str]:
        listed = params["then"] if params["then"] is not None and ti.try_number > 1 else params["kinds"]
        if listed in (None, "boom"):
            raise AirflowFailException("nothing can be listed")
        return listed

    @task
    @recorded
    def work(kind: str) -> Any:
        return end_as(kind)

    @task
    def plain(kind: str) -> Any:
        return end_as(kind)

    @task_group
    def group(kind: str) -> None:
        @task
        @recorded
        def one(kind: str) -> Any:
            return end_as(kind)

        @task
        @recorded
        def two(value: Any) -> Any:
            return value

        two(one(kind))

    @task(trigger_rule="all_done", retries=0)
    def collect(listed: list[str] | None, params: dict[str, Any], ti: Any = None) -> dict[str, Any]:
        expected = listed if params["expected"] is None else params["expected"]
        return {
            name: [[o.map_index, str(o.kind), o.tries, o.value, o.error] for o in outcomes(ti, name, expected)]
            for name in ("work", "plain", "group.one", "group.two")
        }

    listed = kinds()
    [work.expand(kind=listed), plain.expand(kind=listed), group.expand(kind=listed)] >> collect(listed)


@dag(**SETTINGS, max_active_tasks=32)
def mapping_outcomes_500() -> None:
    """500 instances, some of which fail, skip, or return None."""

    @task
    def numbers() -> list[int]:
        return list(range(500))

    @task(retries=0)
    @recorded
    def work(number: int) -> Any:
        kind = STORM.get(number % 10)
        return end_as(kind) if kind else number

    @task(trigger_rule="all_done", retries=0)
    def collect(listed: list[int], ti: Any = None) -> dict[str, Any]:
        with Requests() as requests:
            found = outcomes(ti, "work", listed)
        wrong = [
            o.item
            for o in found
            if (o.kind, o.value)
            != {"fail": ("hard", None), "skip": ("skipped", None), "none": ("success", None)}.get(
                STORM.get(o.item % 10, ""), ("success", o.item)
            )
        ]
        return {"sent": dict(requests.sent), "seconds": requests.seconds, "found": len(found), "wrong": wrong}

    listed = numbers()
    work.expand(number=listed) >> collect(listed)


mapping_outcomes()
mapping_outcomes_500()
