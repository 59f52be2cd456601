"""Six mapped instances whose first tries take a while, so that something can be killed under them."""

import logging
import time
from datetime import timedelta

from airflow.sdk import dag, task


@dag(schedule=None, params={"seconds": 5})
def lifecycle_slow():
    @task(retries=3, retry_delay=timedelta(seconds=30))
    def work(number: int, params=None, ti=None) -> int:
        time.sleep(params["seconds"] if ti.try_number == 1 else 1)
        logging.getLogger(__name__).info("work %d of 6 is done", number)
        return number

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    total(work.expand(number=[1, 2, 3, 4, 5, 6]))


lifecycle_slow()
