"""The day that a run is about: the start of its data interval, never "now"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowFailException


def run_day(context: Mapping[str, Any]) -> date:
    """The UTC day at which the run's data interval starts.

    `context` is the task's context (`get_current_context()`, or `**context` of the function). A manual run without a
    logical date has no interval (Airflow 3: the keys are absent).

    Raises AirflowFailException then, saying how to pass the day.
    """
    return _interval(context, "data_interval_start").date()


def run_day_end(context: Mapping[str, Any]) -> datetime:
    """The end of the run's data interval: the same in every try and rerun, so right for stamps in the output.

    Raises AirflowFailException as `run_day` does.
    """
    return _interval(context, "data_interval_end")


def _interval(context: Mapping[str, Any], edge: str) -> datetime:
    moment: datetime | None = context.get(edge)
    if moment is None:
        run = context.get("dag_run")
        dag_id = getattr(run, "dag_id", "DAG")
        raise AirflowFailException(
            f"run {context.get('run_id', '')!r} of {dag_id} has no data interval, so it has no day: start it with "
            f"`airbed run {dag_id} --day YYYY-MM-DD`, or post data_interval_start, data_interval_end and logical_date "
            f"to /api/v2/dags/{dag_id}/dagRuns"
        )
    return moment.astimezone(UTC)
