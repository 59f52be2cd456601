"""What a bed changes in Airflow from outside: retry delays are shorter, and tasks start from a warm process.

Airflow imports this file in each of its processes. AIRBED_TIME_FACTOR (default 1: nothing is touched) divides retry
delays. What tasks find imported is in airbed_preload.py, what ends the scheduler's sleep in airbed_wake.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

__all__ = ["task_policy"]

RESCHEDULE_FLOOR_SECONDS = 10.0
POKE_FLOOR_SECONDS = 1.0


def time_factor() -> float:
    """AIRBED_TIME_FACTOR as a number of 1 or more; 1 when it is absent or no such number."""
    try:
        return max(1.0, float(os.environ.get("AIRBED_TIME_FACTOR", "1")))
    except ValueError:
        return 1.0


def task_policy(task: Any) -> None:
    """Divide a task's retry delays, never its timeouts. Airflow calls it for each task of each DAG file it parses.

    The dag-processor needs it (delays are in the serialised DAG) and the task's process too (retry policies, pokes).
    """
    factor = time_factor()
    if factor == 1:
        return
    for name in ("retry_delay", "max_retry_delay"):
        delay = getattr(task, name, None)
        if isinstance(delay, timedelta):
            setattr(task, name, delay / factor)
        elif isinstance(delay, int | float) and not isinstance(delay, bool):
            setattr(task, name, timedelta(seconds=delay / factor))
    if getattr(task, "retry_policy", None) is not None:
        task.retry_policy = compress_policy(task.retry_policy, factor)
    _compress_pokes(task, factor)


def compress_policy(policy: Any, factor: float) -> Any:
    """A retry policy that decides as `policy` does and divides the delay of its decision.

    The policy itself stays as it is: its rules may be shared between tasks, and hold the delays of other decisions.
    """
    from airflow.sdk.definitions.retry_policy import RetryPolicy

    class CompressedRetryPolicy(RetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            decision = policy.evaluate(*args, **kwargs)
            delay = decision.retry_delay
            return decision if delay is None else replace(decision, retry_delay=delay / factor)

        def serialize(self) -> dict[str, Any]:
            return policy.serialize()

        def __getattr__(self, name: str) -> Any:
            return getattr(policy, name)

    return CompressedRetryPolicy()


def _compress_pokes(task: Any, factor: float) -> None:
    if not _is_sensor(task) or _maps_pokes(task):
        return
    fields = task.partial_kwargs if getattr(task, "is_mapped", False) else vars(task)
    interval = fields.get("poke_interval", 60)
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return
    # Airflow 3.3.2 retries a rescheduled sensor for no reason when it comes back within a few seconds.
    floor = RESCHEDULE_FLOOR_SECONDS if fields.get("mode") == "reschedule" else POKE_FLOOR_SECONDS
    fields["poke_interval"] = min(seconds, max(floor, seconds / factor))


def _is_sensor(task: Any) -> bool:
    kind = task.operator_class if getattr(task, "is_mapped", False) else type(task)
    return isinstance(kind, type) and any(base.__name__ == "BaseSensorOperator" for base in kind.__mro__)


def _maps_pokes(task: Any) -> bool:
    """Whether `poke_interval` may be one of the mapped arguments; Airflow refuses to have it twice."""
    if not getattr(task, "is_mapped", False) or "poke_interval" in task.partial_kwargs:
        return False
    given = getattr(task.expand_input, "value", None)
    if isinstance(given, dict):
        return "poke_interval" in given
    return not isinstance(given, list | tuple) or any(
        not isinstance(item, dict) or "poke_interval" in item for item in given
    )


def end_predecessor() -> None:
    """Mark the scheduler before this one as ended, in the metadata database.

    A bed has one scheduler, so whatever stands there as running is dead. Airflow finds that out only when its heartbeat
    is older than `scheduler_health_check_threshold`, and takes its instances over then. A small threshold would do the
    same, and on a busy machine a living scheduler would take itself for dead and reset its own tasks (Airflow 3.3.2).
    """
    url = os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "")
    if not url.startswith("postgresql+psycopg2://"):
        return
    # Without a database Airflow itself ends with a better message than this could give.
    with contextlib.suppress(Exception):
        import psycopg2

        with contextlib.closing(psycopg2.connect(url.replace("+psycopg2", "", 1), connect_timeout=5)) as database:
            database.autocommit = True
            database.cursor().execute(
                "UPDATE job SET state = 'failed' WHERE job_type = 'SchedulerJob' AND state = 'running'"
            )


if "scheduler" in sys.argv:
    import airbed_preload

    airbed_preload.when_needed()
if {"scheduler", "api-server"} & set(sys.argv):
    import airbed_wake

    if airbed_wake.wanted():
        # Without it, or in another Airflow, the scheduler only sleeps longer.
        with contextlib.suppress(Exception):
            (airbed_wake.wait_in_scheduler if "scheduler" in sys.argv else airbed_wake.tell_of_runs)()
