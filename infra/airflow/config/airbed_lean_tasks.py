"""What a scheduler builds or changes once, so that each of the many task processes forked from it has less to do.

All of it is private to Airflow 3.3.2 and its providers; `airbed_preload.warm` goes on without a step that fails.
AIRBED_LATE_HEARTBEAT=none leaves heartbeats as they are.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlsplit


def share_tls_context() -> None:
    """Build the TLS context of the supervisors' client here instead of in each worker."""
    from airflow.sdk.api import client

    client.Client._get_ssl_context_cached(client.API_SSL_CA_FILE_PATH, client.API_SSL_CERT_PATH)


def find_listeners() -> None:
    """Load the plugins' listeners: 10 of about 100 ms a task.

    Not while Airflow's own settings are being made: a user's plugin might not import then.
    """
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()


def keep_s3_models() -> None:
    """Make botocore parse each of its JSON files once, and read those of S3 now; opens no connection.

    A process that opens S3 pays 0.07 to 0.1 CPU-seconds for them otherwise. Within one process botocore itself shares
    what it parsed among all clients of a session.
    """
    import botocore.session
    from botocore import loaders

    parse = loaders.JSONFileLoader.load_file
    parsed: dict[str, Any] = {}

    def load_file(self: Any, file_path: str) -> Any:
        if file_path not in parsed:
            parsed[file_path] = parse(self, file_path)
        return parsed[file_path]

    loaders.JSONFileLoader.load_file = load_file
    session = botocore.session.Session()
    session.create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    session.get_available_regions("s3")


def share_type_adapters() -> None:
    """Let tasks use the validators of what their supervisor tells them that were built here: each makes five otherwise.

    Building them takes a fifth of the CPU of a task that does nothing. They are not changed by being used.
    """
    from airflow.sdk.execution_time import comms, task_runner
    from pydantic import JsonValue, TypeAdapter

    built: dict[int, tuple[Any, TypeAdapter[Any]]] = {}

    def shared(kind: Any) -> TypeAdapter[Any]:
        if id(kind) not in built:
            built[id(kind)] = kind, TypeAdapter(kind)
        return built[id(kind)][1]

    comms.TypeAdapter = task_runner.TypeAdapter = shared  # type: ignore[misc,assignment]
    shared(comms.ToTask)
    shared(JsonValue)


def take_small_xcoms_for_what_they_are() -> None:
    """Let a task that pulls a value from the database not open S3 for it, two fifths of the CPU of an idle task.

    Airflow's backend opens the bucket before it looks at the value. A value without a scheme is no object's URL, and is
    refused by the same exceptions as before.
    """
    from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend

    get_full_path = XComObjectStorageBackend._get_full_path

    def only_for_urls(data: Any) -> Any:
        if not isinstance(data, str):
            raise TypeError(f"Not a valid url: {type(data).__name__}")
        if not urlsplit(data).scheme:
            raise ValueError("Not a valid url")
        return get_full_path(data)

    XComObjectStorageBackend._get_full_path = staticmethod(only_for_urls)  # type: ignore[method-assign]


def rehearse_a_dag() -> None:
    """Define a small DAG and forget it: a quarter of what a task pays for parsing its DAG file is paid once, here.

    That quarter is what Python, attrs and Airflow remember after the first use: answers of isinstance, the decorators
    that providers bring, compiled patterns.
    """
    from datetime import UTC, datetime

    from airflow.sdk import Param, dag, task

    @task
    def items() -> list[int]:
        return []

    @task(retries=1)
    def one(item: int, params: Any = None, ti: Any = None) -> int:
        return item

    @dag(
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        params={"a": Param(1, type="integer")},
        tags=["a"],
    )
    def airbed_rehearsal() -> None:
        one.expand(item=items())

    airbed_rehearsal()


def count_the_start_as_a_heartbeat() -> None:
    """Let a task's supervisor send its first heartbeat an interval after the start, not right after it.

    The request that starts an instance notes the time of its last heartbeat too. Airflow's supervisor takes that for
    its last success, but not for its last attempt: so it sends another at once, one of six requests of a short task.
    """
    if os.environ.get("AIRBED_LATE_HEARTBEAT") == "none":
        return
    from airflow.sdk.execution_time.supervisor import ActivitySubprocess

    start = ActivitySubprocess._on_child_started

    def note_the_start(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        self._last_heartbeat_attempt = time.monotonic()

    ActivitySubprocess._on_child_started = note_the_start  # type: ignore[method-assign]


STEPS = (
    share_tls_context,
    find_listeners,
    share_type_adapters,
    take_small_xcoms_for_what_they_are,
    rehearse_a_dag,
    count_the_start_as_a_heartbeat,
)
