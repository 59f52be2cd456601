"""How many ran at once, read from start and end times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Protocol, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timed(Protocol):
    """Something with a start and an end, such as a `clients.metadata.Attempt` (read-only attributes)."""

    @property
    def start_date(self) -> datetime:
        """When it began."""

    @property
    def end_date(self) -> datetime | None:
        """When it ended; None: it still runs."""


TimedItem = TypeVar("TimedItem", bound=Timed)


def highest(items: Iterable[Timed]) -> int:
    """The highest number of items under way at one moment.

    An end and a start at the same instant do not overlap; an item that ends when it starts never ran (such are
    the times of what the scheduler skips).
    """
    changes: list[tuple[datetime, int]] = []
    for item in items:
        if item.end_date is not None and item.end_date <= item.start_date:
            continue
        changes.append((item.start_date, 1))
        if item.end_date is not None:
            changes.append((item.end_date, -1))
    most = now = 0
    for _, change in sorted(changes):  # at the same instant ends (-1) come before starts (+1)
        now += change
        most = max(most, now)
    return most


def highest_by(items: Iterable[TimedItem], key: Callable[[TimedItem], Key]) -> dict[Key, int]:
    """`highest` for each group: `highest_by(attempts, lambda each: each.task_id)`; other keys: run_id, dag_id."""
    groups: dict[Key, list[TimedItem]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return {name: highest(group) for name, group in groups.items()}


def seconds_of_work(items: Iterable[Timed]) -> float:
    """The time that the items took together, in seconds; what still runs counts nothing."""
    return sum((item.end_date - item.start_date).total_seconds() for item in items if item.end_date is not None)
