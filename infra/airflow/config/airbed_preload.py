"""What the scheduler imports and builds once, so that the task processes forked from it need not.

AIRBED_PRELOAD (default "tasks,data") lists it: groups of PRELOADS, or names of modules; "none" for nothing. It happens
when the first worker is forked, or before that in a scheduler that has had nothing to do for a while: hardly while a
bed starts, when the processors are busy.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import os
import time
from typing import Any

import airbed_lean_tasks

IDLE_SECONDS = 5

# CPU seconds in the scheduler, Airflow 3.3.2 on Python 3.11: tasks 0.3, data 1.4, kubernetes 1.1.
PRELOADS = {
    "tasks": """
        http.client
        airflow.sdk.execution_time.task_runner airflow.sdk.execution_time.supervisor
        airflow.sdk.execution_time.coordinator airflow.dag_processing.dagbag
        airflow.dag_processing.importers.python_importer airflow.dag_processing.bundles.local
        airflow.dag_processing.bundles.manager airflow.sdk.bases.decorator airflow.sdk.bases.branch
        airflow.sdk.bases.hook airflow.sdk.bases.sensor airflow.sdk.definitions.decorators
        airflow.sdk.definitions.decorators.condition airflow.sdk.definitions.decorators.task_group
        airflow.sdk.definitions.decorators.setup_teardown airflow.sdk.definitions.asset.metadata
        airflow.sdk.definitions.connection airflow.sdk.definitions.retry_policy
        airflow.providers.standard.decorators.python airflow.providers.standard.operators.python
        airflow.sdk._shared.logging.remote airflow.sdk._shared.logging.factory packaging.requirements jinja2.ext
        airflow.sdk.execution_time.cache airflow.providers.common.io.xcom.backend statsd
        """,
    "data": """
        numpy pandas pyarrow.parquet boto3 psycopg
        airflow.providers.amazon.aws.hooks.s3 airflow.providers.postgres.hooks.postgres
        s3fs airflow.providers.amazon.aws.fs.s3 upath.implementations.cloud
        """,
    "kubernetes": "kubernetes airflow.providers.cncf.kubernetes.hooks.kubernetes",
}


def preload(wanted: str) -> list[str]:
    """Import the groups and modules of a comma-separated list; returns those that could not be imported."""
    names = [name for part in wanted.split(",") for name in PRELOADS.get(part.strip(), part.strip()).split()]
    failed = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # a module that breaks here would break nothing but the tasks that use it
            failed.append(name)
    return failed


def warm() -> None:
    """Import and build what AIRBED_PRELOAD says; what fails here is left to the tasks."""
    wanted = os.environ.get("AIRBED_PRELOAD", "tasks,data")
    if wanted.strip() in ("", "none"):
        return
    gc.disable()
    try:
        preload(wanted)
        for step in airbed_lean_tasks.STEPS:
            with contextlib.suppress(Exception):
                step()
        if "data" in wanted:
            with contextlib.suppress(Exception):
                airbed_lean_tasks.keep_s3_models()
            # Amazon's hooks look at their call stack (for the user agent), for which `inspect` has to find the file of
            # every module: 0.08 CPU-seconds, unless it is known from before.
            inspect.stack()
    finally:
        gc.enable()


def when_needed() -> None:
    """Warm this process before LocalExecutor forks its first worker, and fork workers as tasks wait for them.

    Airflow 3.3.2 forks all of them when the scheduler starts. They share what they were forked with only as long as
    neither side writes to it, so those without work cost 10 MB each. AIRBED_LATE_WORKERS=none leaves it at that.
    """
    from airflow.executors.local_executor import LocalExecutor

    if not hasattr(LocalExecutor, "_spawn_workers_with_gc_freeze"):
        # Another Airflow than this was written for.
        warm()
        return
    spawn_all, sync = LocalExecutor._spawn_workers_with_gc_freeze, LocalExecutor.sync
    started, warmed = time.monotonic(), False

    def warm_once() -> None:
        nonlocal warmed
        if not warmed:
            warmed = True
            warm()

    def spawn_at_once(self: Any, spawn_number: int) -> None:
        warm_once()
        spawn_all(self, spawn_number)

    def spawn(self: Any, spawn_number: int) -> None:
        wanted = min(spawn_number, self._unread_messages.value)
        if wanted <= 0:
            return
        warm_once()
        # For good, unlike Airflow: nothing that was there before a worker is looked at by the collector again, so it
        # stays shared.
        gc.freeze()
        for _ in range(wanted):
            self._spawn_worker()

    def sync_when_warm(self: Any) -> None:
        if not warmed and time.monotonic() - started > IDLE_SECONDS:
            warm_once()
        sync(self)

    if os.environ.get("AIRBED_LATE_WORKERS") == "none":
        LocalExecutor._spawn_workers_with_gc_freeze = spawn_at_once
        return
    LocalExecutor._spawn_workers_with_gc_freeze = spawn
    LocalExecutor.sync = sync_when_warm
