"""One mapped task whose instances end in every way there is, and a mapped group: what airbed's reports must tell."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta

from airflow.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk import dag, task, task_group
from airflow.timetables.interval import CronDataIntervalTimetable


@dag(schedule=None, start_date=datetime(2026, 1, 1), params={"n": 6, "fail": False})
def every_end():
    @task
    def items(params=None):
        if params["fail"]:
            raise AirflowFailException("nothing to list")
        return list(range(params["n"]))

    @task(retries=1, retry_delay=timedelta(seconds=1), max_active_tis_per_dagrun=3)
    def work(i, ti=None):
        if i == 0:
            return "x" * 10_000
        if i == 1:
            return {"status": "failed", "error": "soft one"}
        if i == 2:
            raise ValueError("hard\ntwo")
        if i == 3:
            raise AirflowSkipException("three")
        if i == 4 and ti.try_number == 1:
            raise RuntimeError("heals")
        if i == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    @task_group
    def group(z):
        @task
        def inner(z):
            if z == 1:
                raise AirflowFailException("inner one")
            return z

        inner(z)

    @task(trigger_rule="all_done")
    def end():
        return "done"

    [work.expand(i=items()), group.expand(z=[1, 2])] >> end()


@dag(schedule=CronDataIntervalTimetable("0 0 * * *", "UTC"), start_date=datetime(2026, 1, 1), max_active_runs=2)
def every_day():
    @task(max_active_tis_per_dag=2)
    def work(i, data_interval_start=None, data_interval_end=None):
        return [i, str(data_interval_start), str(data_interval_end)]

    work.expand(i=[1, 2, 3])


every_end()
every_day()
