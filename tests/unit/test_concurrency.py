"""The highest number at once, from starts and ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airbed.runs.concurrency import highest, highest_by, seconds_of_work

T0 = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    start_date: datetime
    end_date: datetime | None
    task: str = "t"


def span(start: float, end: float | None, task: str = "t") -> Span:
    return Span(T0 + timedelta(seconds=start), None if end is None else T0 + timedelta(seconds=end), task)


def test_nothing_runs():
    assert highest([]) == 0


def test_one_after_another_is_one():
    assert highest([span(0, 1), span(1, 2), span(2, 3)]) == 1


def test_overlaps_count_whatever_their_order():
    assert highest([span(2, 5), span(0, 3), span(2.5, 2.6), span(4, 6)]) == 3


def test_what_still_runs_counts_until_now():
    assert highest([span(0, None), span(1, None), span(5, 6)]) == 3


def test_an_item_without_duration_never_ran():
    assert highest([span(1, 1), span(1, 1), span(1, 2)]) == 1


def test_an_end_before_its_start_is_ignored():
    assert highest([span(2, 1)]) == 0


def test_by_key():
    spans = [span(0, 2, "a"), span(1, 3, "a"), span(2, 4, "b")]
    assert highest_by(spans, lambda each: each.task) == {"a": 2, "b": 1}


def test_seconds_of_work_adds_all_tries():
    assert seconds_of_work([span(0, 2), span(5, 6.5), span(7, None)]) == 3.5
