"""What the two test modules about pattern 5 share: days, their files, and that each file was processed once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airbed.runs.outcomes import collect

DAG = "backfill_safe_dag"
ITEMS_VARIABLE = "backfill_safe_dag_items"
DAYS, ITEMS = 14, 30
INSTANCES_CAP, RUNS_CAP = 20, 2
LONG = 1800  # seconds that a range of days may take on a busy machine


def days_after(bed: Any, run_types: set[str], start: date, count: int) -> list[date]:
    """Days in a row, after the last one that this DAG has a run of these types of."""
    taken = [run.logical_date.date() for run in bed.metadata.runs(DAG) if run.run_type in run_types]
    first = max(taken) + timedelta(days=1) if taken else start
    return [first + timedelta(days=n) for n in range(count)]


def new_days(bed: Any, count: int) -> list[date]:
    """Days that follow what was backfilled and caught up: a catch-up goes on there, so manual runs stay off them."""
    return days_after(bed, {"scheduled", "backfill"}, date(2025, 1, 1), count)


@contextmanager
def variable(bed: Any, key: str, value: object) -> Iterator[None]:
    """An Airflow Variable that is gone at the end."""
    bed.airflow.set_variable(key, str(value))
    try:
        yield
    finally:
        bed.airflow.delete_variable(key)


def keys(day: date, items: int) -> list[str]:
    """The files of a day."""
    return [f"{day:%Y/%m/%d}/part-{n:04}" for n in range(items)]


def checksum(key: str) -> str:
    """What the DAG's stand-in for work makes of a key."""
    return hashlib.sha256(key.encode() + bytes(16 << 20)).hexdigest()


def midnight(day: date) -> datetime:
    """The logical date of a day."""
    return datetime.combine(day, datetime.min.time(), UTC)


def assert_every_file_was_processed_once(bed: Any, run_ids: list[str], days: list[date]) -> None:
    """Each run its own day, each instance its own file, at the first try."""
    assert len(run_ids) == len(days)
    checksums = set()
    for run_id, day in zip(run_ids, days, strict=True):
        result = collect(bed, DAG, run_id)
        task = result.task("process_file")
        assert (result.state, task.expected, task.success, task.tries) == ("success", ITEMS, ITEMS, [1] * ITEMS)
        assert [value["key"] for value in task.values] == keys(day, ITEMS)
        assert [value["status"] for value in task.values] == ["ok"] * ITEMS
        report = result.single("summarize_run").value
        assert (report["items"], report["success"], report["failed_items"]) == (ITEMS, ITEMS, [])
        checksums |= {value["checksum"] for value in task.values}
    assert len(checksums) == len(days) * ITEMS
