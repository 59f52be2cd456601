"""Pattern 6: some 50 MB from each mapped instance, through object storage.

Needs, in Airflow's configuration:

    [core] xcom_backend = airflow.providers.common.io.xcom.backend.XComObjectStorageBackend
    [common.io] xcom_objectstorage_path = s3://aws_default@airflow-xcom/xcom
    [common.io] xcom_objectstorage_threshold = 4096

Then the metadata database gets a row with a URL, and S3 the data. Three things to know about it: an object that is
missing or cut arrives as its URL STRING, without an error, so `aggregate` checks what it gets; each return value is
written to the task's log unless `show_return_value_in_logs=False`; objects outlive their runs (`airbed xcom sweep`).
"""

from __future__ import annotations

import hashlib
import logging
import random
import resource
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import Param, dag, task

from mapping import metrics
from mapping.limits import require_between
from mapping.outcomes import Kind, Outcome, outcomes
from mapping.recorded import recorded
from mapping.stored import lost_object, require_object_storage
from mapping.summary import Summary

SEGMENTS = ("segment_A", "segment_B", "segment_C", "segment_D")
MAX_SEGMENTS = 100
PROOF = "proof"  # key of the small XCom that says how long the data is, and its hash

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    max_active_tasks=8,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=300), "execution_timeout": timedelta(hours=1)},
    params={"size_mb": Param(50, type="number", exclusiveMinimum=0, description="Data of each segment, in MB")},
    tags=["airbed", "mapping", "xcom"],
)
def heavy_data_mapping() -> None:
    """Fetch four large segments, add up their lengths."""

    @task
    def get_segments() -> list[str]:
        """The segments in a fixed order. Refuses to start when 50 MB values would end up in the database."""
        require_object_storage()
        return require_between(SEGMENTS, 1, MAX_SEGMENTS, "segments")

    # Two at once: each holds its data several times over (value, JSON, bytes on their way).
    @task(pool="s3_etl", max_active_tis_per_dag=2, show_return_value_in_logs=False)
    @recorded
    def fetch_segment_data(segment: str, params: dict[str, Any], ti: Any = None) -> str:
        """One segment's data: put your query here. The proof is pushed first, so there is no data without one."""
        data = make_data(segment, int(params["size_mb"] * 1_000_000))
        ti.xcom_push(PROOF, {"length": len(data), "sha256": hash_of(data)})
        return data

    # multiple_outputs=False: Airflow takes `-> dict` for one XCom (a request, a row) per key.
    @task(trigger_rule="all_done", multiple_outputs=False)
    def aggregate(segments: list[str] | None, ti: Any = None) -> dict[str, Any]:
        """Add up the lengths with one segment in memory at a time. Every segment is needed: no failure is allowed."""
        start_mb, total, checked = peak_mb(), 0, []
        for outcome in outcomes(ti, "fetch_segment_data", segments, values=False):
            if outcome.kind is Kind.SUCCESS:
                length, problem = read_segment(ti, outcome)
                total += length
                checked.append(replace(outcome, kind=Kind.LOST, error=problem) if problem else outcome)
            else:
                checked.append(outcome)
        summary = Summary("fetch_segment_data", checked)
        metrics.send(summary, dag_id=ti.dag_id)
        report = summary.check(max_failed=0.0)
        log.info(
            "%s characters in %s segments; peak memory %s MB, %s at the start", total, len(checked), peak_mb(), start_mb
        )
        return {**report, "total_length": total, "peak_mb": peak_mb(), "start_mb": start_mb}

    segments = get_segments()
    fetch_segment_data.expand(segment=segments) >> aggregate(segments)


def read_segment(ti: Any, outcome: Outcome) -> tuple[int, str | None]:
    """The length of one segment, and what is wrong with it; its data is freed on return."""
    one = {"task_ids": "fetch_segment_data", "map_indexes": outcome.map_index}
    data = ti.xcom_pull(**one)
    proof = ti.xcom_pull(key=PROOF, **one)
    if url := lost_object(data):
        return 0, f"its XCom object is missing or cut: {url}"
    if not isinstance(data, str) or proof is None:
        return 0, f"its value is {type(data).__name__}, its proof {proof}: the XCom is gone"
    if len(data) != proof["length"] or hash_of(data) != proof["sha256"]:
        return 0, f"{len(data)} characters arrived, {proof['length']} with another hash were sent"
    return len(data), None


def peak_mb() -> int:
    """The most memory that this task's process has used so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def make_data(segment: str, size: int) -> str:
    """`size` characters, always the same for a segment."""
    return random.Random(segment).randbytes((size + 1) // 2).hex()[:size]


def hash_of(data: str) -> str:
    """SHA-256, without a second copy of the data in memory."""
    digest = hashlib.sha256()
    for at in range(0, len(data), 1 << 20):
        digest.update(data[at : at + (1 << 20)].encode())
    return digest.hexdigest()


heavy_data_mapping()
