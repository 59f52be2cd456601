"""Rows of Airflow's metadata database, as `airbed.clients.metadata` returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RunRow:
    """One DAG run. Times are UTC; `state` is queued, running, success or failed."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    logical_date: datetime | None
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    queued_at: datetime | None
    start_date: datetime | None
    end_date: datetime | None

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state in {"success", "failed"}


@dataclass(frozen=True)
class InstanceRow:
    """One task instance as it is now: its latest try. `map_index` is -1 for what is not (or was never) expanded."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    max_tries: int
    start_date: datetime | None
    end_date: datetime | None


@dataclass(frozen=True)
class Attempt:
    """One try of one instance that really started; `end_date` None while it runs."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: str | None
    start_date: datetime
    end_date: datetime | None


@dataclass(frozen=True)
class XComRow:
    """One XCom as stored: JSON, or the URL of an object when it was large. Over 4 MB the value is not read: None."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    value: Any


@dataclass(frozen=True)
class ObjectRow:
    """One XCom row that points at an object, such as `s3://aws_default@airflow-xcom/xcom/<dag>/<run>/<task>/<uuid>`."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    url: str


@dataclass(frozen=True)
class DagRow:
    """What the scheduler knows of a DAG. `fileloc` is an absolute path, `relative_fileloc` the path in its bundle."""

    dag_id: str
    is_paused: bool
    is_stale: bool
    has_import_errors: bool
    bundle_name: str | None
    fileloc: str | None
    relative_fileloc: str | None
    last_parsed_time: datetime | None


@dataclass(frozen=True)
class ImportErrorRow:
    """A DAG file that cannot be imported: its path in the bundle, and the traceback."""

    bundle_name: str | None
    filename: str
    timestamp: datetime | None
    stacktrace: str


@dataclass(frozen=True)
class BackfillDay:
    """One logical date of a backfill: its run, or why there is none (`already exists`, `in flight`)."""

    logical_date: datetime | None
    run_id: str | None
    state: str | None
    reason: str | None
