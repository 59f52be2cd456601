"""What the lesson's "Broken" paragraphs say of Airflow itself: an upgrade that changes one of these is noticed here.

Each test runs a DAG of dags_as_taught/, the lesson's code in the smallest port that Airflow 3.3.2 takes.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers import until

from airbed.clients.rest import BadRequest
from airbed.errors import UsageError
from airbed.runs.backfill import run_backfill
from airbed.runs.execute import finish_run
from airbed.runs.orphans import split_url

FOLDER = Path(__file__).parent / "dags_as_taught"
LIMITS = "taught_limits"
LIMITS_LOCK = 20_260_102  # the advisory lock that dags_as_taught/taught_limits.py waits for


# -- results


def test_failures_are_never_none_and_the_list_shrinks(run_dag: Any) -> None:
    items = ["late", "ok", "fail", "skip", "ok", "none", "fail", "ok", "fail", "ok"]
    result = run_dag("taught_results", conf={"items": items})
    task = result.task("process_item")
    assert (task.indexes("hard"), task.indexes("skipped"), task.tries[0]) == ([2, 6, 8], [3], 2)
    assert task.instances[0].ended > max(each.ended for each in task.instances[1:])
    assert result.single("aggregate").value == {
        # by map_index, though the first item ended last
        "results": ["late 0", "ok 1", "ok 4", "ok 7", "ok 9"],
        "length": 5,
        "failed": 0,
        "verdict": "OK",
    }
    assert result.state == "success"  # three instances failed, the all_done leaf did not


NOTHING = {"results": [], "length": 0, "failed": 0, "verdict": "OK"}


def test_all_failed_is_ok(run_dag: Any) -> None:
    """0 > 0.1 * 0 is false."""
    result = run_dag("taught_results", conf={"items": ["fail", "fail", "fail"]})
    assert result.task("process_item").hard == 3
    assert (result.state, result.single("aggregate").value) == ("success", NOTHING)


def test_an_empty_list_skips_the_mapped_task_and_is_ok(bed: Any, run_dag: Any) -> None:
    result = run_dag("taught_results", conf={"items": []})
    rows = bed.metadata.instances("taught_results", result.run_id)
    assert [(row.map_index, row.state) for row in rows if row.task_id == "process_item"] == [(-1, "skipped")]
    assert (result.state, result.single("aggregate").value) == ("success", NOTHING)


def test_a_failed_listing_is_ok(run_dag: Any) -> None:
    result = run_dag("taught_results", conf={"items": None})
    assert result.single("get_items").state == "hard"
    states = [(each.map_index, each.airflow_state) for each in result.task("process_item").instances]
    assert states == [(-1, "upstream_failed")]
    assert (result.state, result.single("aggregate").value) == ("success", NOTHING)


# -- arguments, dates, retries, lengths: one run


@pytest.fixture
def small_claims(kept: dict[str, Any], run_dag: Any) -> Any:
    """One run without a logical date, for the tests that only look at it."""
    if "run" not in kept:
        kept["run"] = run_dag("taught_small_claims")
    return kept["run"]


def test_expand_kwargs_passes_the_keys_as_arguments(small_claims: Any) -> None:
    task = small_claims.task("process_shard")
    assert (task.expected, task.hard) == (2, 2)
    message = "TypeError: missing a required argument: 'shard_info'"
    assert [each.error for each in task.instances] == [message, message]


def test_a_manual_run_without_logical_date_has_no_dates(small_claims: Any) -> None:
    assert small_claims.logical_date is None
    assert small_claims.single("dates_of_the_run").value == []


def test_a_list_above_max_map_length_fails_its_own_task_twice(small_claims: Any) -> None:
    listing = small_claims.single("list_files")
    assert (listing.state, listing.tries) == ("hard", 2)
    assert "unmappable_return_value_length" in listing.error  # and no word of 1025, 1024, or what to do
    assert "pushed value is too large to map as a downstream's dependency" in listing.error
    states = [(each.map_index, each.airflow_state) for each in small_claims.task("process_file").instances]
    assert states == [(-1, "upstream_failed")]
    assert (small_claims.single("summarize_run").state, small_claims.single("summarize_run").value) == ("success", 0)


def test_a_retry_clears_the_xcoms_of_the_try_before(bed: Any, small_claims: Any) -> None:
    again = small_claims.single("tries_again")
    assert (again.state, again.tries, again.value) == ("success", 2, ["found", None])
    marks = bed.metadata.xcoms("taught_small_claims", small_claims.run_id, "mark")
    assert [(row.task_id, row.value) for row in marks] == [("gives_up", "of the only try")]


def test_an_annotation_of_a_dict_makes_an_xcom_of_each_key_of_each_instance(bed: Any, small_claims: Any) -> None:
    def places(key: str) -> list[tuple[str, int]]:
        rows = bed.metadata.xcoms("taught_small_claims", small_claims.run_id, key)
        return [(row.task_id, row.map_index) for row in rows if row.task_id.startswith("annotated")]

    # The dictionary itself is there in any case: the keys come on top, a request and a row each.
    split, whole = ([(task, 0), (task, 1)] for task in ("annotated", "annotated_and_kept_whole"))
    assert (places("return_value"), places("item"), places("rows")) == (split + whole, split, split)


# -- dates


@pytest.mark.parametrize(
    ("dag_id", "interval"),
    [
        ("taught_daily", ["2026-05-02T00:00:00+00:00", "2026-05-02T00:00:00+00:00"]),
        ("taught_data_interval", ["2026-05-01T00:00:00+00:00", "2026-05-02T00:00:00+00:00"]),
    ],
)
def test_at_daily_has_an_interval_of_no_length(run_dag: Any, dag_id: str, interval: list[str]) -> None:
    """And a real interval, for a logical date alone, is that of the day before."""
    result = run_dag(dag_id, logical_date="2026-05-02", rerun=True)
    assert result.single("interval").value == interval
    with pytest.raises(UsageError, match="already has a run"):
        run_dag(dag_id, logical_date="2026-05-02")


EXECUTION_DATE = '''"""Written by test_as_taught.py, deleted at its end."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2026, 1, 1))
def taught_execution_date():
    @task
    def list_files({argument}):
        return []

    list_files()


taught_execution_date()
'''


def test_execution_date_is_gone(bed: Any, run_dag: Any) -> None:
    file = FOLDER / f"taught_execution_date_{bed.spec.mark}.py"
    try:
        file.write_text(EXECUTION_DATE.format(argument="execution_date"))
        until(lambda: any(each["filename"] == file.name for each in bed.airflow.import_errors()), "an import error")
        found = next(each for each in bed.airflow.import_errors() if each["filename"] == file.name)
        assert found["stack_trace"].rstrip().endswith("TypeError: missing a required argument: 'execution_date'")
        with pytest.raises(UsageError, match=r"no DAG 'taught_execution_date'.*missing a required argument"):
            run_dag("taught_execution_date", appear=1)
    finally:
        file.unlink(missing_ok=True)
    until(lambda: all(each["filename"] != file.name for each in bed.airflow.import_errors()), "no import error")


# -- object storage


def test_a_missing_xcom_object_arrives_as_its_url(bed: Any, run_dag: Any) -> None:
    result = run_dag("taught_heavy")
    assert result.single("aggregate").value == {"lengths": [5000] * 4, "total_length": 20_000}
    url = result.task("fetch_segment_data").values[2]
    bucket, key = split_url(url)
    bed.s3.head_object(Bucket=bucket, Key=key)
    bed.s3.delete_object(Bucket=bucket, Key=key)

    bed.airflow.clear("taught_heavy", result.run_id, ["aggregate"])
    again = finish_run(bed, "taught_heavy", result.run_id)
    assert again.state == "success"
    lengths = [5000, 5000, len(url), 5000]
    assert again.single("aggregate").value == {"lengths": lengths, "total_length": 15_000 + len(url)}


# -- limits


def test_max_active_tasks_is_per_run_and_a_backfills_own_max_active_runs_wins(
    bed: Any, elsewhere: ThreadPoolExecutor
) -> None:
    """The DAG says 2 runs and 3 tasks. A backfill that says 3 runs has 3 of them, with 3 instances each: 9."""
    taken = [run.logical_date.date() for run in bed.metadata.runs(LIMITS) if run.logical_date]
    first = max(taken, default=date(2026, 1, 31)) + timedelta(days=1)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"

    def states() -> dict[str, Counter[str]]:
        active = [run.run_id for run in bed.metadata.runs(LIMITS) if run.state == "running"]
        return {run_id: Counter(str(row.state) for row in bed.metadata.instances(LIMITS, run_id)) for run_id in active}

    with bed.database("warehouse") as warehouse:
        warehouse.execute("SELECT pg_advisory_lock(%s)", [LIMITS_LOCK])
        running = elsewhere.submit(
            run_backfill, bed, LIMITS, first, first + timedelta(days=3), max_active_runs=3, timeout=900
        )
        try:
            until(lambda: warehouse.execute(waiting, [LIMITS_LOCK]).fetchone()[0] == 9, "nine instances wait")
            assert list(states().values()) == [{"running": 3, "scheduled": 1}] * 3
        finally:
            warehouse.execute("SELECT pg_advisory_unlock(%s)", [LIMITS_LOCK])
        result = running.result()
    assert result.ok
    assert [each.state for each in result.days] == ["success"] * 4
    assert result.max_runs == 3
    assert result.max_running == 9


def test_a_logical_date_can_be_taken_once(bed: Any, run_dag: Any) -> None:
    """Airflow's own answer to a repeat, below what `run_dag` makes of it."""
    run_dag("taught_daily", logical_date="2026-05-03", rerun=True)
    moment = bed.metadata.runs("taught_daily")[-1].logical_date
    with pytest.raises(BadRequest) as error:
        bed.airflow.trigger("taught_daily", logical_date=moment)
    assert error.value.status == 409
