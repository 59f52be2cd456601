"""Pattern 6 as taught: segments through object storage, no retries, every segment needed.

The smallest port that runs on Airflow 3.3.2. Changed: imports from `airflow.sdk`; 50000 characters instead of 50 MB,
which is above the backend's threshold all the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import dag, task

SEGMENTS = ["segment_A", "segment_B", "segment_C", "segment_D"]


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def taught_segments() -> None:
    """Four segments, their lengths added up."""

    @task
    def get_segments() -> list[str]:
        return SEGMENTS

    @task
    def fetch_segment_data(segment: str) -> str:
        return segment[-1] * 50_000

    @task
    def aggregate(results: Any) -> dict[str, int]:
        lengths = [len(result) for result in results]
        return {"segments": len(lengths), "total_length": sum(lengths)}

    aggregate(fetch_segment_data.expand(segment=get_segments()))


taught_segments()
