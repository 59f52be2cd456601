"""airbed's own account of a run: every instance, exactly, against a real Airflow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airbed.errors import UsageError
from airbed.runs.backfill import run_backfill
from airbed.runs.execute import finish_run
from airbed.runs.orphans import sweep
from airbed.runs.tasklog import task_log

KILLED = "its process was ended by SIGKILL (out of memory, or killed)"


@pytest.fixture
def day(bed: Any) -> date:
    """A day that `every_day` has no run for yet on this bed."""
    taken = [each.logical_date.date() for each in bed.metadata.runs("every_day") if each.logical_date]
    return max(taken, default=date(2026, 1, 1)) + timedelta(days=1)


def test_every_kind_of_end_is_reported(bed: Any, run_dag: Any) -> None:
    result = run_dag("every_end")
    assert result.state == "success"  # an all_done leaf hides what failed before it
    work = result.task("work")
    assert [(each.state, each.tries, each.error) for each in work.instances] == [
        ("success", 1, None),
        ("soft", 1, "soft one"),
        ("hard", 2, "ValueError: hard two"),
        ("skipped", 1, None),
        ("success", 2, None),
        ("hard", 2, KILLED),
    ]
    assert (work.expected, work.cap, work.lost) == (6, 3, 0)
    assert 1 <= work.max_running <= 3
    assert work.instances[0].value.startswith("s3://aws_default@airflow-xcom/xcom/every_end/")
    assert work.instances[1].value == {"status": "failed", "error": "soft one"}
    assert work.instances[4].value == 4
    inner = result.task("group.inner")
    assert [(each.state, each.error) for each in inner.instances] == [
        ("hard", "AirflowFailException: inner one"),
        ("success", None),
    ]
    assert result.single("end").value == "done"

    text, where = task_log(bed, result.run_id, "work[4]", try_number=1)
    assert text.rstrip().endswith("RuntimeError: heals")
    assert "work[4], try 1 of 2" in where


def test_an_empty_list_and_a_failed_list(run_dag: Any) -> None:
    empty = run_dag("every_end", conf={"n": 0}).task("work")
    assert (empty.expected, empty.instances) == (0, ())
    failed = run_dag("every_end", conf={"fail": True})
    assert failed.single("items").error == "AirflowFailException: nothing to list"
    assert failed.task("work").expected is None
    assert [(each.map_index, each.state) for each in failed.task("work").instances] == [(-1, "upstream_failed")]


def test_a_day_is_the_data_interval_and_a_clear_runs_one_instance_again(bed: Any, run_dag: Any, day: date) -> None:
    result = run_dag("every_day", day=day)
    start, end = f"{day} 00:00:00+00:00", f"{day + timedelta(days=1)} 00:00:00+00:00"
    assert result.task("work").values == [[1, start, end], [2, start, end], [3, start, end]]
    assert result.task("work").max_running <= 2

    bed.airflow.clear("every_day", result.run_id, ["work"], [1])
    assert finish_run(bed, "every_day", result.run_id).task("work").tries == [1, 2, 1]

    with pytest.raises(UsageError, match=r"already has a run .* add --rerun"):
        run_dag("every_day", day=day)
    again = run_dag("every_day", day=day, rerun=True)
    assert (again.run_id, again.task("work").tries) == (result.run_id, [2, 3, 2])


def test_a_backfill_reports_its_days(bed: Any, day: date) -> None:
    result = run_backfill(bed, "every_day", day, day + timedelta(days=3))
    assert [(each.logical_date, each.state) for each in result.days] == [
        (datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=n), "success") for n in range(4)
    ]
    assert 1 <= result.max_runs <= 2
    assert result.max_running_by_task["work"] <= 2
    again = run_backfill(bed, "every_day", day, day)
    assert [(each.state, each.reason) for each in again.days] == [("skipped", "already exists")]


def test_a_sweep_takes_what_a_deleted_run_left_and_nothing_else(bed: Any, run_dag: Any) -> None:
    kept, gone = (run_dag("every_end", conf={"n": 1}) for _ in range(2))
    bed.airflow.delete_run("every_end", gone.run_id)
    found = sweep(bed, gone.run_id)
    assert [each.run_id for each in found.orphans] == [gone.run_id]
    assert found.deleted == 0
    assert sweep(bed, gone.run_id, apply=True).deleted == 1
    assert sweep(bed, gone.run_id).orphans == ()
    assert sweep(bed, kept.run_id).kept == 1


@pytest.mark.parametrize(
    ("dag_id", "options", "says"),
    [
        ("every_ende", {}, "did you mean 'every_end'"),
        ("every_end", {"day": "2026-02-30"}, "YYYY-MM-DD"),
        ("every_end", {"day": "2026-02-01", "logical_date": "2026-02-01"}, "not both"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(bed: Any, run_dag: Any, dag_id: str, options: Any, says: str) -> None:
    before = len(bed.metadata.runs("every_end"))
    with pytest.raises(UsageError, match=says) as error:
        run_dag(dag_id, appear=1, **options)
    assert "\n" not in str(error.value)
    assert len(bed.metadata.runs("every_end")) == before
