"""Pattern 1 on a bed: the exact objects of a day, partial failures, limits, and reruns that change nothing."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from helpers import assert_metrics, until

from airbed.runs.concurrency import highest
from airbed.runs.execute import finish_run

DAG = "s3_daily_processor"
SOURCE, TARGET = "raw-data", "processed-data"
POOL, SLOTS = "s3_etl", 8
NOTHING_LISTED = "process_file: no items were listed, so nothing was processed"

NewDay = Callable[[], date]


@pytest.fixture
def set_slots(bed: Any) -> Iterator[Callable[[int], None]]:
    """Change the number of slots of the pool; afterwards it is as it was."""
    before = bed.airflow.pools()[POOL]
    assert before["slots"] == SLOTS

    def change(slots: int) -> None:
        bed.airflow.set_pool(POOL, slots, before["description"])

    yield change
    change(SLOTS)


@contextmanager
def paused(bed: Any, service: str) -> Iterator[None]:
    """The service answers nothing, but keeps its connections."""
    bed.substrate.pause(service)
    try:
        yield
    finally:
        bed.substrate.unpause(service)


def staging_key(source_key: str) -> str:
    """Where the cleaned rows of a file belong."""
    return source_key.replace("raw/", "staging/", 1).replace(".parquet", "_v2.parquet")


def stored(bed: Any, prefix: str) -> dict[str, tuple[str, bytes]]:
    """The objects that stand for a day of raw files: ETag and body by key."""
    listed = bed.s3.list_objects_v2(Bucket=TARGET, Prefix=prefix.replace("raw/", "staging/", 1))
    return {each["Key"]: (each["ETag"], read(bed, TARGET, each["Key"])) for each in listed.get("Contents", [])}


def read(bed: Any, bucket: str, key: str) -> bytes:
    """An object's body."""
    return bytes(bed.s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def cleaned(raw: bytes, day: date) -> pa.Table:
    """What must come of a raw file: made here from its bytes."""
    rows = pq.read_table(io.BytesIO(raw))
    rows = rows.filter(pc.is_valid(rows["customer_id"]))
    stamp = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    return rows.append_column("processed_at", pa.array([stamp] * rows.num_rows, pa.timestamp("us", "UTC")))


def assert_stored(bed: Any, day: date, made: Any) -> dict[str, tuple[str, bytes]]:
    """Each readable file has its object with exactly its rows, and there is nothing else; returns `stored`."""
    objects = stored(bed, made.prefix)
    readable = [each for each in made.files if each.readable]
    assert sorted(objects) == [staging_key(each.key) for each in readable]
    for each in readable:
        found = pq.read_table(io.BytesIO(objects[staging_key(each.key)][1]))
        assert found.equals(cleaned(read(bed, SOURCE, each.key), day)), each.key
        assert found.num_rows == each.rows - each.null_customers
    uploads = bed.s3.list_multipart_uploads(Bucket=TARGET).get("Uploads", [])
    assert [each["Key"] for each in uploads if each["Key"] in objects] == []
    return objects


def values(made: Any) -> list[Any]:
    """What each instance must return when every readable file succeeds (None stands for an unreadable one)."""
    return [
        {
            "status": "ok",
            "source_key": each.key,
            "staging_key": staging_key(each.key),
            "rows_processed": each.rows - each.null_customers,
            "rows_dropped": each.null_customers,
        }
        if each.readable
        else None
        for each in made.files
    ]


def unreadable(made: Any) -> list[int]:
    """The map_indexes of the files that nobody can read."""
    return [index for index, each in enumerate(made.files) if not each.readable]


def process_states(bed: Any, *days: date) -> Counter[str]:
    """The states of the file instances of the days' runs, once they are expanded."""
    rows = [
        row
        for run in bed.metadata.runs(DAG)
        if run.logical_date and run.logical_date.date() in days
        for row in bed.metadata.instances(DAG, run.run_id)
    ]
    return Counter(str(row.state) for row in rows if row.task_id == "process_file" and row.map_index >= 0)


def state_of(bed: Any, day: date, map_index: int) -> tuple[str | None, int]:
    """State and try number of one file instance."""
    run = next(run for run in bed.metadata.runs(DAG) if run.logical_date and run.logical_date.date() == day)
    rows = bed.metadata.instances(DAG, run.run_id)
    row = next(row for row in rows if (row.task_id, row.map_index) == ("process_file", map_index))
    return row.state, row.try_number


def assert_nothing_ran(bed: Any, result: Any, day: date | None, error: str) -> None:
    """The listing failed at once with this error, no file was touched, and the summary, which ran, failed the run."""
    assert result.state == "failed"
    listing = result.single("list_files")
    assert (listing.state, listing.tries) == ("hard", 1)
    assert error in listing.error
    task = result.task("process_file")
    assert [(each.map_index, each.state, each.tries) for each in task.instances] == [(-1, "upstream_failed", 0)]
    summary = result.single("summarize_run")
    assert (summary.state, summary.tries) == ("hard", 1)
    if day is not None:
        assert NOTHING_LISTED in summary.error
        assert stored(bed, f"raw/{day:%Y/%m/%d}/") == {}


def test_clean_day_and_its_rerun_give_the_same_objects(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    day = new_day()
    made = seed(DAG, day=day, files=10, unreadable=0)
    bed.director.reset_metrics()
    result = run_dag(DAG, day=day)

    assert result.state == "success"
    task = result.task("process_file")
    assert (task.expected, task.success, task.cap, task.tries) == (10, 10, 8, [1] * 10)
    assert result.single("list_files").value == [{"key": each.key, "expected_size": each.size} for each in made.files]
    assert task.values == values(made)
    before = assert_stored(bed, day, made)
    assert 0 < made.null_customers < made.rows == 24_000
    report = {
        "items": 10, "success": 10, "soft": 0, "hard": 0, "skipped": 0, "removed": 0, "lost": 0, "failed_items": [],
        "rows_processed": 24_000 - made.null_customers, "rows_dropped": made.null_customers,
    }  # fmt: skip
    assert result.single("summarize_run").value == report
    assert_metrics(bed, success=10, soft=0, hard=0)

    # One object is gone, one is not what it should be: a rerun makes both as they were, and changes no other.
    keys = sorted(before)
    bed.s3.delete_object(Bucket=TARGET, Key=keys[2])
    bed.s3.put_object(Bucket=TARGET, Key=keys[5], Body=b"half")
    again = run_dag(DAG, day=day, rerun=True)
    assert (again.state, again.task("process_file").tries) == ("success", [2] * 10)
    assert stored(bed, made.prefix) == before

    bed.airflow.clear(DAG, again.run_id, ["process_file"], [4], downstream=True)
    cleared = finish_run(bed, DAG, again.run_id, timeout=300)
    assert (cleared.state, cleared.task("process_file").tries) == ("success", [2, 2, 2, 2, 3, 2, 2, 2, 2, 2])
    assert cleared.single("summarize_run").value == report
    assert stored(bed, made.prefix) == before


def test_partial_failures_under_the_threshold(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    """1 of 12 files unreadable; a killed task and a broken connection heal by their retry."""
    day = new_day()
    made = seed(DAG, day=day, rows=2_400, files=12, unreadable=1)
    (bad,) = unreadable(made)
    killed, reset = [index for index in range(12) if index != bad][:2]
    # What an earlier version of the unreadable file gave must go.
    bed.s3.put_object(Bucket=TARGET, Key=staging_key(made.files[bad].key), Body=b"of an earlier version")
    bed.director.reset_metrics()
    first = {"dag_id": DAG, "task_id": "process_file", "try_number": 1}
    broken = {"action": "raise", "exception": "builtins:ConnectionError", "message": "the connection was reset"}
    with (
        bed.director.task_rule(**first, map_index=killed, action="kill", when="after"),
        bed.director.task_rule(**first, map_index=reset, **broken),
    ):
        result = run_dag(DAG, day=day)

    assert result.state == "success"
    task = result.task("process_file")
    assert (task.indexes("soft"), task.hard, task.success) == ([bad], 0, 11)
    assert {index: tries for index, tries in enumerate(task.tries) if tries != 1} == {killed: 2, reset: 2}
    soft = task.instances[bad].value
    assert (soft["status"], soft["source_key"], sorted(soft)) == (
        "failed", made.files[bad].key, ["error", "source_key", "status"],
    )  # fmt: skip
    assert [value for value in task.values if value["status"] == "ok"] == [each for each in values(made) if each]
    assert_stored(bed, day, made)
    assert result.single("summarize_run").value == {
        "items": 12, "success": 11, "soft": 1, "hard": 0, "skipped": 0, "removed": 0, "lost": 0,
        "failed_items": [
            {"id": made.files[bad].key, "map_index": bad, "kind": "soft", "tries": 1, "error": soft["error"]}
        ],
        "rows_processed": 2_400 - made.null_customers, "rows_dropped": made.null_customers,
    }  # fmt: skip
    assert_metrics(bed, success=11, soft=1, hard=0)
    assert "ConnectionError: the connection was reset" in bed.airflow.log(DAG, result.run_id, "process_file", reset, 1)


def test_over_the_threshold_fails_with_the_numbers(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    """One file unreadable, one whose service never answers: 2 of 12, soft and hard together, are over 10 %."""
    day = new_day()
    made = seed(DAG, day=day, rows=1_200, files=12, unreadable=1)
    (bad,) = unreadable(made)
    down = (bad + 5) % 12
    bed.director.reset_metrics()
    with bed.director.task_rule(
        dag_id=DAG, task_id="process_file", map_index=down, action="raise", exception="builtins:ConnectionError",
        message="no route to S3",
    ):  # fmt: skip
        result = run_dag(DAG, day=day)

    assert result.state == "failed"
    task = result.task("process_file")
    assert (task.indexes("soft"), task.indexes("hard"), task.success) == ([bad], [down], 10)
    assert {index: tries for index, tries in enumerate(task.tries) if tries != 1} == {down: 4}
    summary = result.single("summarize_run")
    assert (summary.state, summary.tries) == ("hard", 1)
    numbers = "process_file: 12 items: success 10, soft 1, hard 1, skipped 0: 16.7% failed, the limit is 10%"
    assert numbers in summary.error
    log = bed.airflow.log(DAG, result.run_id, "summarize_run")
    for said in (
        numbers,
        f"{made.files[bad].key} (map_index {bad}): soft, 1 try: {task.instances[bad].value['error']}",
        f"{made.files[down].key} (map_index {down}): hard, 4 tries: ConnectionError: no route to S3",
    ):
        assert said in log
    wanted = {staging_key(each.key) for index, each in enumerate(made.files) if index not in {bad, down}}
    assert set(stored(bed, made.prefix)) == wanted
    assert_metrics(bed, success=10, soft=1, hard=1)


def test_a_file_shorter_than_listed_heals_by_the_retry(
    bed: Any, seed: Any, run_dag: Any, new_day: NewDay, elsewhere: ThreadPoolExecutor, set_slots: Callable[[int], None]
) -> None:
    """The short object is sound parquet of other rows: only its size tells that it is not the one that was listed."""
    day = new_day()
    made = seed(DAG, day=day, rows=4_000, files=4, unreadable=0)
    short = 2
    key = made.files[short].key
    whole = read(bed, SOURCE, key)
    rows = pq.read_table(io.BytesIO(whole))
    body = io.BytesIO()
    pq.write_table(rows.slice(0, rows.num_rows // 2), body, compression="snappy")
    size = body.getbuffer().nbytes
    assert size < len(whole)

    set_slots(0)
    running = elsewhere.submit(run_dag, DAG, day=day)
    try:
        until(lambda: process_states(bed, day) == {"scheduled": 4}, "the files are listed and wait for the pool")
        bed.s3.put_object(Bucket=SOURCE, Key=key, Body=body.getvalue())
        set_slots(SLOTS)
        until(lambda: process_states(bed, day)["scheduled"] == 0, "the first tries are under way")
        set_slots(0)  # no second try before the object is whole again
        waits = {("up_for_retry", 1), ("scheduled", 2)}
        until(lambda: state_of(bed, day, short) in waits, "the try with the short object has ended")
        bed.s3.put_object(Bucket=SOURCE, Key=key, Body=whole)
    finally:
        set_slots(SLOTS)
    result = running.result()

    assert result.state == "success"
    task = result.task("process_file")
    assert (task.success, task.tries) == (4, [1, 1, 2, 1])
    assert task.values == values(made)
    assert_stored(bed, day, made)
    said = f"IncompleteTransfer: s3://{SOURCE}/{key}: {size} bytes arrived, {len(whole)} were listed"
    assert said in bed.airflow.log(DAG, result.run_id, "process_file", short, 1)


def test_no_files(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    """Only what is no parquet file lies there."""
    day = new_day()
    made = seed(DAG, day=day, files=1, rows=1, unreadable=0)
    bed.s3.delete_object(Bucket=SOURCE, Key=made.files[0].key)
    bed.director.reset_metrics()
    result = run_dag(DAG, day=day)

    error = f"parquet files under s3://raw-data/raw/{day:%Y/%m/%d}/: found 0, at least 1 expected"
    assert_nothing_ran(bed, result, day, error)
    assert_metrics(bed, success=0, soft=0, hard=0)


def test_too_many_files(bed: Any, run_dag: Any, new_day: NewDay) -> None:
    day = new_day()
    prefix = f"raw/{day:%Y/%m/%d}/"
    keys = [f"{prefix}part-{number:05d}.parquet" for number in range(1001)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: bed.s3.put_object(Bucket=SOURCE, Key=key, Body=b"x"), keys))
    result = run_dag(DAG, day=day)

    assert_nothing_ran(bed, result, day, f"parquet files under s3://raw-data/{prefix}: found 1001, the most is 1000")


def test_a_run_without_a_day_says_how_to_pass_it(bed: Any, run_dag: Any) -> None:
    result = run_dag(DAG)

    error = f"has no data interval, so it has no day: start it with `airbed run {DAG} --day YYYY-MM-DD`"
    assert_nothing_ran(bed, result, None, error)
    assert "no items were listed" in result.single("summarize_run").error


def test_cap_and_pool_hold_over_two_runs(
    bed: Any, seed: Any, run_dag: Any, new_day: NewDay, elsewhere: ThreadPoolExecutor, set_slots: Callable[[int], None]
) -> None:
    """20 instances want to run while S3 answers nothing: the pool lets 5 begin, then the cap stops at 8."""
    days = [new_day(), new_day()]
    made = [seed(DAG, day=day, rows=100, files=10, unreadable=0) for day in days]
    set_slots(0)
    running = [elsewhere.submit(run_dag, DAG, day=day) for day in days]
    try:
        until(lambda: process_states(bed, *days) == {"scheduled": 20}, "both runs have listed their files")
        with paused(bed, "s3"):
            set_slots(5)
            until(lambda: process_states(bed, *days)["running"] >= 5, "as many run as the pool has slots")
            assert process_states(bed, *days) == {"running": 5, "scheduled": 15}
            set_slots(32)
            until(lambda: process_states(bed, *days)["running"] >= 8, "as many run as the cap allows")
            assert process_states(bed, *days) == {"running": 8, "scheduled": 12}
    finally:
        set_slots(SLOTS)
    results = [each.result() for each in running]

    assert [each.state for each in results] == ["success", "success"]
    for day, data, result in zip(days, made, results, strict=True):
        assert (result.task("process_file").success, result.task("process_file").tries) == (10, [1] * 10)
        assert_stored(bed, day, data)
    tries = bed.metadata.attempts(DAG, [each.run_id for each in results])
    assert highest(each for each in tries if each.task_id == "process_file") == 8
