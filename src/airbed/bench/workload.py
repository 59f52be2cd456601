"""The DAG of the part `fanout`: the same file for a bed and for its peers."""

from __future__ import annotations

DAG_ID = "bench_fanout"
MAPPED = "work"
FILE = f"{DAG_ID}.py"
# A list of zeros stays below 4 KB with 1000 items. A longer one would go to object storage on a bed, where each
# instance opens S3 for its item: that is what `xcom` is about.
SOURCE = '''"""Mapped instances that do nothing, or use CPU."""
import time

from airflow.sdk import dag, task


@dag(schedule=None, params={"instances": 100, "cpu_ms": 0}, max_active_tasks=1024)
def bench_fanout():
    @task
    def numbers(params=None):
        return [0] * params["instances"]

    @task
    def work(number, params=None):
        end = time.process_time() + params["cpu_ms"] / 1000
        while params["cpu_ms"] and time.process_time() < end:
            pass

    work.expand(number=numbers())


bench_fanout()
'''
