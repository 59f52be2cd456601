"""Every DAG file of the mapping patterns imports, and has the ids and limits that its users look for."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk import DAG, CronDataIntervalTimetable, TriggerRule

FILES = ("resilient_processing", "s3_daily_processor", "backfill_safe_dag", "heavy_data_mapping")


def dags_of(module: ModuleType) -> dict[str, DAG]:
    """The DAGs that the module's `@dag` functions give."""
    return {name: getattr(module, name)() for name in vars(module) if name.startswith(module.__name__)}


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    found: dict[str, DAG] = {}
    for file in FILES:
        found |= dags_of(importlib.import_module(file))
    return found


def test_ids(dags: dict[str, DAG]) -> None:
    assert set(dags) == {*FILES, "resilient_processing_retry_policy"}


@pytest.mark.parametrize(
    ("dag_id", "tasks", "runs", "start"),
    [
        ("s3_daily_processor", {"list_files", "process_file", "summarize_run"}, 2, datetime(2026, 1, 1, tzinfo=UTC)),
        ("resilient_processing", {"get_items", "process_item", "aggregate"}, 2, datetime(2026, 1, 1, tzinfo=UTC)),
        (
            "resilient_processing_retry_policy",
            {"get_items", "process_item", "aggregate"},
            2,
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
        (
            "backfill_safe_dag",
            {"list_files_for_date", "process_file", "summarize_run"},
            2,
            datetime(2025, 1, 1, tzinfo=UTC),
        ),
        (
            "heavy_data_mapping",
            {"get_segments", "fetch_segment_data", "aggregate"},
            2,
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ],
)
def test_tasks_and_dates(dags: dict[str, DAG], dag_id: str, tasks: set[str], runs: int, start: datetime) -> None:
    dag = dags[dag_id]
    assert (set(dag.task_ids), dag.max_active_runs, dag.start_date) == (tasks, runs, start)


@pytest.mark.parametrize(
    ("dag_id", "task_id", "limits"),
    [
        ("s3_daily_processor", "process_file", (8, 3, 300, "s3_etl")),
        ("resilient_processing", "process_item", (16, 2, 30, "default_pool")),
        ("resilient_processing_retry_policy", "process_item", (16, 2, 30, "default_pool")),
        ("backfill_safe_dag", "process_file", (20, 2, 300, "default_pool")),
        ("heavy_data_mapping", "fetch_segment_data", (2, 2, 300, "s3_etl")),
    ],
)
def test_limits_of_the_mapped_task(
    dags: dict[str, DAG], dag_id: str, task_id: str, limits: tuple[int, int, int, str]
) -> None:
    cap, retries, delay, pool = limits
    task: Any = dags[dag_id].get_task(task_id)
    assert task.is_mapped
    assert (task.max_active_tis_per_dag, task.retries, task.pool) == (cap, retries, pool)
    assert task.retry_delay == timedelta(seconds=delay)


def test_every_leaf_runs_also_after_failures_and_every_task_has_retries(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        assert [leaf.trigger_rule for leaf in dag.leaves] == [TriggerRule.ALL_DONE]
        assert all(task.retries for task in dag.tasks)


def test_schedules(dags: dict[str, DAG]) -> None:
    daily = CronDataIntervalTimetable("0 0 * * *", "UTC")
    for dag_id in ("s3_daily_processor", "backfill_safe_dag"):
        assert dags[dag_id].timetable == daily
    assert [dag_id for dag_id, dag in dags.items() if dag.catchup] == ["backfill_safe_dag"]
    assert dags["s3_daily_processor"].max_active_tasks == 16


def test_the_policy_is_declared_and_large_values_stay_out_of_the_log(dags: dict[str, DAG]) -> None:
    item: Any = dags["resilient_processing_retry_policy"].get_task("process_item")
    assert [rule.action.value for rule in item.retry_policy.rules] == ["fail", "retry"]
    segment: Any = dags["heavy_data_mapping"].get_task("fetch_segment_data")
    assert segment.partial_kwargs["show_return_value_in_logs"] is False


@pytest.mark.parametrize("file", [*FILES, "parallel_shard_processor", "multi_region_deploy"])
def test_a_task_s_result_is_one_xcom_whatever_it_is_annotated_with(file: str) -> None:
    """Airflow 3.3.2 pushes each key of a `-> dict` by itself: a request and a row more, in each instance."""
    for dag in dags_of(importlib.import_module(file)).values():
        tasks: list[Any] = dag.tasks
        assert {task.task_id for task in tasks if task.multiple_outputs} == set()
