"""Counts, the report and the thresholds that decide a run."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from mapping import metrics
from mapping.outcomes import Kind, Outcome
from mapping.summary import Summary, item_id


def summary(**counts: int) -> Summary:
    found: list[Outcome] = []
    for kind, count in counts.items():
        for _ in range(count):
            index = len(found)
            bad = kind not in {"success", "skipped"}
            found.append(Outcome({"id": f"i{index}"}, index, Kind(kind), 3 if bad else 1, "E: x" if bad else None))
    return Summary("process_item", found)


def test_counts_and_rates() -> None:
    found = summary(success=90, soft=4, hard=3, lost=1, removed=1, skipped=1)
    assert found.counts == {"success": 90, "soft": 4, "hard": 3, "skipped": 1, "removed": 1, "lost": 1}
    assert (found.hard_rate, found.failure_rate) == (0.05, 0.09)


def test_exactly_the_limit_passes() -> None:
    found = summary(success=90, soft=5, hard=5)
    report = found.check(max_failed=0.10, max_hard=0.05)
    assert report["items"] == 100
    assert report["failed_items"][-1] == {"id": "i99", "map_index": 99, "kind": "hard", "tries": 3, "error": "E: x"}


def test_above_the_limit_names_numbers_and_items(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(AirflowFailException) as failed:
        summary(success=70, soft=1, hard=29).check(max_failed=None, max_hard=0.05)
    text = str(failed.value)
    assert "process_item: 100 items: success 70, soft 1, hard 29, skipped 0" in text
    assert "29.0% failed hard, the limit is 5%" in text
    assert "i71 (map_index 71): hard, 3 tries: E: x" in text
    assert "and 10 more" in text
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 30


def test_nothing_listed_fails_whatever_the_limits() -> None:
    with pytest.raises(AirflowFailException, match="no items were listed"):
        summary().check(max_failed=None)


def test_all_lost_fails() -> None:
    with pytest.raises(AirflowFailException, match=r"100\.0% failed, the limit is 10%"):
        summary(lost=5).check()


@pytest.mark.parametrize(
    ("item", "name"),
    [({"key": "a", "size": 1}, "a"), ({"shard_id": 2}, "2"), ({"x": 1}, "{'x': 1}"), (7, "7"), ("k" * 300, "k" * 200)],
)
def test_item_id(item: Any, name: str) -> None:
    assert item_id(item) == name


def test_metrics_are_sent_with_lost_ones_as_hard(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}

    def incr(name: str, count: int, tags: dict[str, str]) -> None:
        sent[name] = (count, tags["dag_id"])
        if name == "processing.success":
            raise OSError("no route")

    monkeypatch.setattr(metrics.stats, "incr", incr)
    metrics.send(summary(success=7, soft=1, hard=1, lost=1), dag_id="d")
    assert sent == {
        "processing.success": (7, "d"),
        "processing.soft_failure": (1, "d"),
        "processing.hard_failure": (2, "d"),
    }
