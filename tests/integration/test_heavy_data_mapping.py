"""Pattern 6 on a bed: rows instead of megabytes, lost and cut objects named, orphans swept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers import airbed

from airbed.runs.execute import finish_run
from airbed.runs.orphans import split_url, sweep

DAG = "heavy_data_mapping"
BUCKET = "airflow-xcom"
SMALL = {"size_mb": 5}
TINY = {"size_mb": 0.01}  # above the backend's threshold of 4096 bytes


def prefix(run_id: str) -> str:
    """Where the objects of a run lie."""
    return f"xcom/{DAG}/{run_id}/"


def objects(bed: Any, run_id: str) -> dict[str, int]:
    """The objects of a run in the bucket: sizes by key."""
    listed = bed.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix(run_id))
    return {each["Key"]: each["Size"] for each in listed.get("Contents", [])}


def key_of(result: Any, map_index: int) -> str:
    """The object that a segment's XCom row points at."""
    bucket, key = split_url(result.task("fetch_segment_data").values[map_index])
    assert bucket == BUCKET
    return key


@pytest.fixture
def small_run(kept: dict[str, Any], run_dag: Any) -> Any:
    """One clean run of 4 x 5 MB; whoever changes its objects puts them back."""
    if "small" not in kept:
        kept["small"] = run_dag(DAG, conf=SMALL)
    return kept["small"]


def test_four_times_50_mb(bed: Any, run_dag: Any, small_run: Any) -> None:
    before = bed.metadata.size()
    result = run_dag(DAG, timeout=900)
    growth = bed.metadata.size() - before

    assert result.state == "success"
    task = result.task("fetch_segment_data")
    assert (task.success, task.tries) == (4, [1, 1, 1, 1])
    report = result.single("aggregate").value
    assert (report["items"], report["success"], report["total_length"]) == (4, 4, 200_000_000)
    assert objects(bed, result.run_id) == {key_of(result, n): 50_000_002 for n in range(4)}  # JSON: two quotes
    assert growth < 1_000_000

    small = small_run.single("aggregate").value
    assert small["total_length"] == 20_000_000
    # One segment at a time takes about 3.3 times its 50 MB (bytes, text, value); keeping the others adds 3 x 50 MB.
    assert 50 < report["peak_mb"] - report["start_mb"] < 250

    for n in range(4):
        log = bed.airflow.log(DAG, result.run_id, "fetch_segment_data", n)
        assert log
        assert len(log) < 20_000
    assert len(bed.airflow.log(DAG, result.run_id, "aggregate")) < 20_000


def test_lost_cut_and_swapped_objects_are_named(bed: Any, small_run: Any) -> None:
    keys = {n: key_of(small_run, n) for n in range(4)}
    data = {n: bed.s3.get_object(Bucket=BUCKET, Key=keys[n])["Body"].read() for n in range(4)}
    urls = small_run.task("fetch_segment_data").values

    def aggregate_again() -> tuple[Any, str]:
        """The run after its aggregator ran again, and that try's log (a run's error texts are cut)."""
        bed.airflow.clear(DAG, small_run.run_id, ["aggregate"])
        result = finish_run(bed, DAG, small_run.run_id)
        return result, bed.airflow.log(DAG, result.run_id, "aggregate", -1, result.single("aggregate").tries)

    def put_back() -> None:
        for n, body in data.items():
            bed.s3.put_object(Bucket=BUCKET, Key=keys[n], Body=body)

    try:
        bed.s3.delete_object(Bucket=BUCKET, Key=keys[1])
        lost, log = aggregate_again()
        assert lost.state == "failed"
        assert lost.task("fetch_segment_data").tries == [1, 1, 1, 1]
        assert "success 3, soft 0, hard 0, skipped 0, lost 1: 25.0% failed" in lost.single("aggregate").error
        assert f"segment_B (map_index 1): lost, 1 try: its XCom object is missing or cut: {urls[1]}" in log
        assert [name for name in ("segment_A", "segment_C", "segment_D") if name in log] == []

        put_back()
        swapped = json.dumps("x" * 5_000_000).encode()
        bed.s3.put_object(Bucket=BUCKET, Key=keys[3], Body=data[3][:-1_000_000])
        bed.s3.put_object(Bucket=BUCKET, Key=keys[0], Body=swapped)
        cut, log = aggregate_again()
        assert cut.state == "failed"
        assert "success 2, soft 0, hard 0, skipped 0, lost 2: 50.0% failed" in cut.single("aggregate").error
        assert f"segment_D (map_index 3): lost, 1 try: its XCom object is missing or cut: {urls[3]}" in log
        assert (
            "segment_A (map_index 0): lost, 1 try: 5000000 characters arrived, 5000000 with another hash were sent"
            in log
        )
        assert [name for name in ("segment_B", "segment_C") if name in log] == []
    finally:
        put_back()
    whole, _ = aggregate_again()
    assert (whole.state, whole.single("aggregate").value["total_length"]) == ("success", 20_000_000)


def test_a_segment_killed_once_is_counted_once(bed: Any, run_dag: Any) -> None:
    with bed.director.task_rule(
        dag_id=DAG, task_id="fetch_segment_data", map_index=[2], try_number=1, action="kill", when="after"
    ) as rule:
        result = run_dag(DAG, conf=SMALL)
        assert len(bed.director.journal(kind="fired", rule=rule)) == 1
    task = result.task("fetch_segment_data")
    assert (result.state, task.success, task.tries) == ("success", 4, [1, 1, 2, 1])
    assert result.single("aggregate").value["total_length"] == 20_000_000
    rows = [each for each in bed.metadata.xcom_objects() if each.run_id == result.run_id and each.dag_id == DAG]
    assert [(each.task_id, each.map_index) for each in rows] == [("fetch_segment_data", n) for n in range(4)]
    assert set(objects(bed, result.run_id)) == {split_url(each.url)[1] for each in rows}


def test_a_sweep_takes_the_objects_of_deleted_runs_and_no_others(bed: Any, run_dag: Any) -> None:
    kept, gone = run_dag(DAG, conf=TINY), run_dag(DAG, conf=TINY)
    of_kept, of_gone = objects(bed, kept.run_id), objects(bed, gone.run_id)
    assert (len(of_kept), len(of_gone)) == (4, 4)
    assert sweep(bed, gone.run_id).orphans == ()
    bed.airflow.delete_run(DAG, gone.run_id)
    assert objects(bed, gone.run_id) == of_gone  # Airflow leaves them

    # A run that has not ended, with an object whose row is not written yet.
    bed.airflow.pause(DAG)
    live = bed.airflow.trigger(DAG, conf=TINY)
    early = f"{prefix(live)}fetch_segment_data/early"
    bed.s3.put_object(Bucket=BUCKET, Key=early, Body=b'"early"')
    try:
        found = sweep(bed, gone.run_id)
        assert {each.key: each.size for each in found.orphans} == of_gone
        assert {(each.dag_id, each.run_id) for each in found.orphans} == {(DAG, gone.run_id)}
        assert (found.kept, found.young, found.deleted) == (0, 0, 0)
        assert (sweep(bed, kept.run_id).kept, sweep(bed, live).young) == (4, 1)

        dry = json.loads(airbed(bed, "xcom", "sweep", "--json").stdout)
        assert {each["key"] for each in dry["orphans"] if each["dag_id"] == DAG} >= set(of_gone)
        assert not {each["key"] for each in dry["orphans"]} & {*of_kept, early}
        assert objects(bed, gone.run_id) == of_gone

        applied = json.loads(airbed(bed, "xcom", "sweep", "--run", gone.run_id, "--apply", "--json").stdout)
        assert (applied["deleted"], {each["key"] for each in applied["orphans"]}) == (4, set(of_gone))
        assert objects(bed, gone.run_id) == {}
        assert objects(bed, kept.run_id) == of_kept
        assert set(objects(bed, live)) == {early}
    finally:
        bed.airflow.set_run_state(DAG, live, "failed")
        bed.airflow.delete_run(DAG, live)
    assert [each.key for each in sweep(bed, live).orphans] == [early]  # its run is gone, so now it is one
    assert sweep(bed, live, apply=True).deleted == 1
