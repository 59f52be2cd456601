"""Each mapped instance leaves a small record of how it ended: the only way to learn tries and errors downstream.

No call of the task SDK gives an aggregator the tries or the error text of another instance (Airflow 3.3.2), so the
instance says it itself, in an XCom of its own.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypedDict, TypeVar

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import (
    AirflowRescheduleException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferred,
)

P = ParamSpec("P")
R = TypeVar("R")

RECORD_KEY = "outcome"
ERROR_LIMIT = 500  # characters; keeps a record below the XCom backend's 4096 bytes even when JSON escapes each one

_NOT_AN_END = (
    AirflowRescheduleException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferred,
)

log = logging.getLogger(__name__)


# The key "try" is a Python keyword, so this TypedDict needs the call form.
Record = TypedDict(
    "Record",
    {"map_index": int, "try": int, "status": str, "error": str | None, "none": bool},
)
"""`status` is success, soft, skipped or failed; `none`: the function returned nothing, so there is no XCom."""


def is_soft_failure(value: Any) -> bool:
    """Whether a returned value says `{"status": "failed", ...}`: handled by the task, not to be retried."""
    return isinstance(value, Mapping) and value.get("status") == "failed"


def describe(error: BaseException) -> str:
    """One line: the exception's type and its message, at most 500 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:ERROR_LIMIT]


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Make a TaskFlow function record its end, for `mapping.outcomes`.

    Goes under the task decorator, so that Airflow still sees the function's own parameters:

        @task(retries=2)
        @recorded
        def process_item(item): ...

    Costs one small request an instance. An instance that is killed leaves no record: "failed, no record". A record that
    cannot be sent never changes how the instance ends. Raises TypeError for an async function.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"@recorded takes a plain function, {function.__name__} is async: record inside it instead")

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            value = function(*args, **kwargs)
        except _NOT_AN_END:
            raise
        except AirflowSkipException as skip:
            _push("skipped", error=" ".join(str(skip).split())[:ERROR_LIMIT] or None, none=True)
            raise
        except BaseException as error:
            _push("failed", error=describe(error), none=True)
            raise
        if is_soft_failure(value):
            _push("soft", error=soft_error(value))
        else:
            _push("success", none=value is None)
        return value

    return run


def soft_error(value: Any) -> str | None:
    """The `error` field of a soft failure's value, as one line; None when it has none."""
    error = value.get("error") if isinstance(value, Mapping) else None
    return None if error is None else " ".join(str(error).split())[:ERROR_LIMIT]


def _push(status: str, *, error: str | None = None, none: bool = False) -> None:
    try:
        ti = get_current_context()["ti"]
        record: Record = {
            "map_index": ti.map_index if ti.map_index is not None else -1,
            "try": ti.try_number,
            "status": status,
            "error": error,
            "none": none,
        }
        ti.xcom_push(RECORD_KEY, record)
    except Exception:
        log.warning("Could not record that this instance ended as %r", status, exc_info=True)
