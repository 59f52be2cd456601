"""The patterns' aggregators, where an instance is green and left no result: marked success by hand, say."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from fake_ti import FakeTI

import parallel_shard_processor as shards
import s3_daily_processor as daily
from mapping import metrics

FILES = [{"key": f"raw/2026/01/05/{n}.parquet", "expected_size": 1} for n in range(20)]
SHARDS = [{"shard_id": n, "conn_id": f"shard_{n}_db", "schema": "s"} for n in range(3)]


class Warehouse:
    """A connection that counts 50000 rows for each shard."""

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, *_: object) -> Warehouse:
        return self

    def fetchall(self) -> list[tuple[int, int]]:
        return [(n, 50_000) for n in range(3)]


def callable_of(dag: Any, task_id: str) -> Any:
    """The function under a task's decorator."""
    return dag.get_task(task_id).python_callable


def ended(count: int, task_id: str, values: dict[int, Any]) -> FakeTI:
    """Instances that all succeeded, with these values; the others left a record and no value."""
    ti = FakeTI(task_id, dict.fromkeys(range(count), "success"))
    for index in range(count):
        ti.ended(index, "success", values.get(index))
    return ti


def test_a_file_without_a_result_is_a_failure_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(metrics, "send", lambda summary, dag_id: sent.append(summary.counts))
    summarize = callable_of(daily.s3_daily_processor(), "summarize_run")
    value = {"status": "ok", "rows_processed": 10, "rows_dropped": 1}
    report = summarize(FILES, ti=ended(20, "process_file", dict.fromkeys(range(1, 20), value)))
    assert (report["rows_processed"], report["rows_dropped"], report["lost"]) == (190, 19, 1)
    assert report["failed_items"][0]["id"] == FILES[0]["key"]
    with pytest.raises(AirflowFailException, match=r"success 17.*15\.0% failed, the limit is 10%"):
        summarize(FILES, ti=ended(20, "process_file", dict.fromkeys(range(3, 20), value)))
    assert [each["lost"] for each in sent] == [1, 3]


def test_a_shard_without_a_result_fails_the_check_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    check = callable_of(shards.parallel_shard_processor(), "quality_check")
    monkeypatch.setattr(shards, "connect", lambda *_: Warehouse())
    monkeypatch.setattr(shards, "get_current_context", dict)
    monkeypatch.setattr(shards, "run_day", lambda _: date(2026, 1, 5))
    whole = {n: {"shard_id": n, "rows_loaded": 50_000, "source_rows": 50_000} for n in range(3)}
    assert check(SHARDS, ti=ended(3, "process_shard", whole))["rows_loaded"] == 150_000
    with pytest.raises(AirflowFailException, match=r"^2026-01-05: shard 1 \(shard_1_db\) left no result"):
        check(SHARDS, ti=ended(3, "process_shard", {n: whole[n] for n in (0, 2)}))
