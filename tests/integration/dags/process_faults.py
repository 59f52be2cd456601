"""A task that waits with a child process until it is told to go on, and one that does nothing."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task


@dag(schedule=None, params={"n": 3, "go": ""}, max_active_tasks=10)
def process_faults():
    @task
    def numbers(params=None) -> list[int]:
        return list(range(params["n"]))

    @task(retries=1, retry_delay=timedelta(seconds=100), execution_timeout=timedelta(seconds=120))
    def wait(number: int, params=None, ti=None) -> int:
        go = Path(params["go"])
        # In a session of its own: it is no member of the task's process group.
        child = subprocess.Popen(["sh", "-c", f'while [ ! -e "{go}" ]; do sleep 0.1; done'], start_new_session=True)
        (go.parent / f"child-{number}-{ti.try_number}").write_text(str(child.pid))
        child.wait()
        return number

    wait.expand(number=numbers())


process_faults()
