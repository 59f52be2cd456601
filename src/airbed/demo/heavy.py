"""Pattern 6 in the demo: 50 MB from each instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airbed.demo.playing import clear_and_rerun, run, seen
from airbed.demo.scenario import Expected, Scenario, Seen

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = "heavy_data_mapping"
BUCKET = "airflow-xcom"
MOST_DATABASE_GROWTH = 5_000_000


def _clean(bed: Bed) -> Seen:
    before = _database_size(bed)
    result = run(bed, DAG)
    growth = _database_size(bed) - before
    problems = []
    if growth > MOST_DATABASE_GROWTH:
        problems.append(f"the metadata database grew by {growth} bytes for 200 MB of data")
    value = result.single("aggregate").value or {}
    if result.ok and value.get("total_length") != 200_000_000:
        problems.append(f"the aggregate's value is {value}")
    return seen(result, "fetch_segment_data", "aggregate", problems)


def _healed(bed: Bed) -> Seen:
    with bed.director.task_rule(
        dag_id=DAG, task_id="fetch_segment_data", map_index=[2], try_number=1, action="kill", when="after"
    ):
        return seen(run(bed, DAG, conf={"size_mb": 5}), "fetch_segment_data", "aggregate")


def _lost_object(bed: Bed) -> Seen:
    """Delete one segment's object after the run, then let the aggregator alone run again."""
    result = run(bed, DAG, conf={"size_mb": 5})
    prefix = f"xcom/{DAG}/{result.run_id}/fetch_segment_data/"
    keys = [each["Key"] for each in bed.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]
    bed.s3.delete_object(Bucket=BUCKET, Key=keys[0])
    again = clear_and_rerun(bed, result, ["aggregate"])
    problems = [] if len(keys) == 4 else [f"{len(keys)} objects in the bucket, expected 4"]
    return seen(again, "fetch_segment_data", "aggregate", problems)


def _database_size(bed: Bed) -> int:
    with bed.database("metadata") as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


SCENARIOS = [
    Scenario(DAG, "clean", "nothing; 4 x 50 MB", 2, _clean, Expected("success", success=4, tries={})),
    Scenario(
        DAG,
        "partial failure",
        "segment_C's task killed after its work, once",
        2,
        _healed,
        Expected("success", success=4, tries={2: 2}),
    ),
    Scenario(
        DAG,
        "lost object",
        "one XCom object deleted before the aggregator",
        2,
        _lost_object,
        Expected("failed", success=4, error=r"missing or cut: s3://"),
    ),
]
