"""Which logical dates a backfill asks for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airbed.errors import UsageError
from airbed.runs import backfill


class Airflow:
    """Keeps what it is asked to backfill."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def dag(self, dag_id: str) -> dict[str, Any]:
        return {"max_active_runs": 2, "is_paused": False}

    def create_backfill(self, dag_id: str, start: Any, end: Any, **options: Any) -> int:
        self.asked = [start.isoformat(), end.isoformat()]
        return 1


def bed(zone: Any) -> Any:
    structure = {"dag": {} if zone is None else {"timezone": zone}}
    metadata = SimpleNamespace(done_backfills=lambda dag_id: [], structure=lambda dag_id: structure)
    return SimpleNamespace(airflow=Airflow(), metadata=metadata)


@pytest.fixture(autouse=True)
def _ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "ensure_dag_is_ready", lambda *_: None)


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", "2026-03-01T00:00:00", "2026-03-03T23:59:59.999999"),
        (None, "2026-03-01T00:00:00", "2026-03-03T23:59:59.999999"),
        ("Europe/Berlin", "2026-02-28T23:00:00", "2026-03-03T22:59:59.999999"),
        (-5 * 3600, "2026-03-01T05:00:00", "2026-03-04T04:59:59.999999"),
    ],
)
def test_the_first_and_the_last_day_are_whole_in_the_time_zone_of_the_dag(zone: Any, start: str, end: str) -> None:
    there = bed(zone)
    assert backfill.begin_backfill(there, "d", "2026-03-01", "2026-03-03") == (1, 2)
    assert there.airflow.asked == [f"{start}+00:00", f"{end}+00:00"]


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(UsageError, match="--from 2026-03-03 is after --to 2026-03-01: swap them"):
        backfill.begin_backfill(bed("UTC"), "d", "2026-03-03", "2026-03-01")
