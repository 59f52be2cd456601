"""A DAG of somebody who never heard of airbed: classic operators, mapped, grouped, deferred."""

from __future__ import annotations

import time
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator, ShortCircuitOperator
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, TaskGroup, task_group


def measure(item: int) -> dict[str, int]:
    """Needs 250 MB for a moment."""
    block = b"x" * (250 << 20)
    time.sleep(0.3)
    return {"item": item, "bytes": len(block)}


with DAG(
    "foreign_classic",
    schedule=None,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=100)},
    max_active_tasks=6,
) as dag:
    PythonOperator.partial(
        task_id="measure", python_callable=measure, execution_timeout=timedelta(seconds=6), max_active_tis_per_dagrun=4
    ).expand(op_kwargs=[{"item": number} for number in range(13)])

    BashOperator.partial(task_id="shell", bash_command="echo $NAME").expand(env=[{"NAME": name} for name in "abcd"])

    @task_group
    def step(name):
        """One name."""
        first = BashOperator(task_id="first", bash_command="echo {{ ti.map_index }}")
        first >> BashOperator(task_id="second", bash_command="echo done")

    step.expand(name=["a", "b"])

    with TaskGroup("tail"):
        later = TimeDeltaSensor(task_id="later", delta=timedelta(seconds=0), deferrable=True)
        gate = ShortCircuitOperator(task_id="gate", python_callable=lambda: True, retries=9)
        later >> gate >> BashOperator(task_id="end", bash_command="echo end")
