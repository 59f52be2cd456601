"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest


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
