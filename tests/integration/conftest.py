"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

# Scenario files that test_scenario_engine.py plays in its own ways: one of them never ends.
collect_ignore = ["scenarios"]


@pytest.fixture
def new_day(request: pytest.FixtureRequest, bed: Any) -> Callable[[], date]:
    """Days that the module's DAG has no run of, on a bed that may have been used before."""
    taken = {run.logical_date.date() for run in bed.metadata.runs(request.module.DAG) if run.logical_date}

    def next_day() -> date:
        day = date(2026, 3, 1)
        while day in taken:
            day += timedelta(days=1)
        taken.add(day)
        return day

    return next_day


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """Runs go on here while the test holds what they wait for."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What tests of a module share."""
    return {}


# The files that take longest come first, so that all workers of `make test-e2e` end at about the same time. By the
# times in reports/integration.xml; a file that is not named takes its turn after these.
LONGEST_FIRST = (
    "test_multi_region_deploy",
    "test_backfill_safe_dag",
    "test_mapping_library",
    "test_lifecycle",
    "test_snapshots",
    "test_backfill_catch_up",
    "test_s3_daily_processor",
    "test_resilient_processing",
    "test_your_dags",
    "test_parallel_shard_processor",
    "test_as_taught",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by LONGEST_FIRST; the order within a file stays."""
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
