"""Pattern 2 on a bed: exact warehouse content, no personal data outside the shards, partial failures, limits."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Any

import pytest
from helpers import until

DAG = "parallel_shard_processor"
TEST_HOLDS = 20_260_101  # the advisory lock that dags/db_etl_holder.py waits for
SHARDS = {0: "users_0_to_1m", 1: "users_1m_to_2m", 2: "users_2m_to_3m"}

# One clean run's rows, by shard: what the weights make of 120000.
CLEAN = {0: 50_400, 1: 39_600, 2: 30_000}


NewDay = Callable[[], date]


def loaded(bed: Any, day: date) -> dict[int, int]:
    """Warehouse rows of a day by shard."""
    with bed.database("warehouse") as warehouse:
        query = "SELECT shard_id, count(*) FROM warehouse_events.events WHERE event_date = %s GROUP BY 1 ORDER BY 1"
        return dict(warehouse.execute(query, [day]).fetchall())


def fingerprint(bed: Any, day: date) -> str:
    """A hash of every value of every warehouse row of a day."""
    with bed.database("warehouse") as warehouse:
        query = (
            "SELECT md5(string_agg(e::text, '|' ORDER BY shard_id, event_id)) FROM warehouse_events.events e"
            " WHERE event_date = %s"
        )
        return str(warehouse.execute(query, [day]).fetchone()[0])


def hash_key(bed: Any) -> str:
    """The key that this bed generated for the hashes of e-mails."""
    return str(bed.files.read_secrets()["email_hash_key"])


def expected_rows(bed: Any, day: date, shard_id: int) -> set[tuple[Any, ...]]:
    """What the warehouse must have of a shard's day: made here from the shard's tables, hashed by Python."""
    key = hash_key(bed).encode()
    namespace = SHARDS[shard_id]
    query = f"""
        SELECT e.event_id, e.user_id, e.event_type, e.occurred_at, e.amount, e.email, u.country, u.plan, u.signed_up
        FROM {namespace}.user_events e LEFT JOIN {namespace}.users u USING (user_id) WHERE e.event_date = %s
    """
    with bed.database(f"shard-{shard_id}") as shard:
        rows = shard.execute(query, [day]).fetchall()
    hashes = {row[5]: hmac.new(key, row[5].lower().encode(), hashlib.sha256).hexdigest() for row in rows}
    return {(day, shard_id, *row[:5], hashes[row[5]], *row[6:]) for row in rows}


@contextmanager
def locked(bed: Any, shard_id: int) -> Iterator[None]:
    """Make every reader of the shard's events wait. Ends quietly when the shard was stopped meanwhile."""
    connection = bed.database(f"shard-{shard_id}")
    try:
        connection.execute("BEGIN")
        connection.execute(f"LOCK TABLE {SHARDS[shard_id]}.user_events IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        connection.close()


def waiting_readers(bed: Any, *shard_ids: int) -> int:
    """Sessions of tasks that wait for a lock on these shards."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'etl' AND wait_event_type = 'Lock'"
    count = 0
    for shard_id in shard_ids:
        with bed.database(f"shard-{shard_id}") as shard:
            count += shard.execute(query).fetchone()[0]
    return count


def states(bed: Any, *days: date) -> list[str | None]:
    """The states of the shard instances of the days' runs."""
    runs = [run.run_id for run in bed.metadata.runs(DAG) if run.logical_date and run.logical_date.date() in days]
    return [
        row.state for run_id in runs for row in bed.metadata.instances(DAG, run_id) if row.task_id == "process_shard"
    ]


@pytest.fixture
def clean_run(kept: dict[str, Any], seed: Any, run_dag: Any, new_day: NewDay) -> tuple[date, Any, Any]:
    """One clean day for the tests that only look at it: the day, what was seeded, the run."""
    if "clean" not in kept:
        day = new_day()
        kept["clean"] = (day, seed(DAG, day=day), run_dag(DAG, day=day))
    return kept["clean"]


def test_clean_day(bed: Any, clean_run: Any) -> None:
    day, made, result = clean_run
    assert made.events == CLEAN
    assert result.state == "success"
    task = result.task("process_shard")
    assert (task.success, task.soft, task.hard, task.tries) == (3, 0, 0, [1, 1, 1])
    assert task.values == [
        {"shard_id": shard_id, "rows_loaded": rows, "source_rows": rows} for shard_id, rows in CLEAN.items()
    ]
    assert result.single("quality_check").value == {"day": day.isoformat(), "rows_loaded": 120_000, "shards": 3}
    assert loaded(bed, day) == CLEAN
    with bed.database("warehouse") as warehouse:
        query = "SELECT * FROM warehouse_events.events WHERE event_date = %s"
        rows = warehouse.execute(query, [day]).fetchall()
    expected = set().union(*(expected_rows(bed, day, shard_id) for shard_id in SHARDS))
    assert set(rows) == expected
    assert sum(row[8] is None for row in rows) == sum(shard.deleted_user_events for shard in made.shards) > 0


def test_no_personal_data_or_key_leaves_the_shards(bed: Any, clean_run: Any) -> None:
    day, _, result = clean_run
    with bed.database("warehouse") as warehouse:
        leaked = warehouse.execute(
            "SELECT count(*) FROM warehouse_events.events e WHERE e::text ~ '@|[+]1555' AND event_date = %s", [day]
        )
        assert leaked.fetchone()[0] == 0
    logs = [bed.airflow.log(DAG, result.run_id, "process_shard", index) for index in range(3)]
    logs += [bed.airflow.log(DAG, result.run_id, task_id) for task_id in ("get_active_shards", "quality_check")]
    assert all(logs)
    logs += [bed.substrate.log_file(f"shard-{shard_id}").read_text() for shard_id in SHARDS]
    for text in logs:
        assert "@example." not in text
        assert "+1555" not in text
        assert hash_key(bed) not in text


def test_clear_and_rerun_change_nothing_twice(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    day = new_day()
    seed(DAG, day=day)
    assert run_dag(DAG, day=day).state == "success"
    before = fingerprint(bed, day)

    again = run_dag(DAG, day=day, rerun=True)
    assert (again.state, again.task("process_shard").tries) == ("success", [2, 2, 2])
    assert (loaded(bed, day), fingerprint(bed, day)) == (CLEAN, before)

    bed.airflow.clear(DAG, again.run_id, ["process_shard"], [1], downstream=True)
    cleared = run_dag(DAG, day=day)
    assert cleared.picked_up
    assert (cleared.state, cleared.task("process_shard").tries) == ("success", [2, 3, 2])
    assert (loaded(bed, day), fingerprint(bed, day)) == (CLEAN, before)


def test_a_shard_without_the_day_fails_the_run_though_there_are_rows_enough(
    bed: Any, seed: Any, run_dag: Any, new_day: NewDay
) -> None:
    day = new_day()
    made = seed(DAG, day=day, rows=200_000, missing=(1,))
    result = run_dag(DAG, day=day)

    assert result.state == "failed"
    task = result.task("process_shard")
    assert (task.indexes("success"), task.indexes("hard"), task.tries) == ([0, 2], [1], [1, 1, 1])
    assert f"shard 1 (shard_1_db, users_1M_to_2M) has no partition user_events_{day:%Y%m%d}" in task.instances[1].error
    error = result.single("quality_check").error
    assert f"{day}: shard 1 (shard_1_db) is missing (tries: 1)" in error
    assert "rows in all" not in error
    assert loaded(bed, day) == {0: made.events[0], 2: made.events[2]} == {0: 84_000, 2: 50_000}


def test_a_failed_rerun_leaves_what_was_loaded(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    day = new_day()
    seed(DAG, day=day)
    assert run_dag(DAG, day=day).state == "success"
    before = fingerprint(bed, day)

    seed(DAG, day=day, missing=(1,))
    result = run_dag(DAG, day=day, rerun=True)
    assert result.state == "failed"
    assert "shard 1 (shard_1_db) is missing (tries: 2)" in result.single("quality_check").error
    assert fingerprint(bed, day) == before


def test_one_row_too_few_fails_with_the_numbers(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    day = new_day()
    made = seed(DAG, day=day, rows=99_999)
    result = run_dag(DAG, day=day)

    assert (result.state, result.task("process_shard").success) == ("failed", 3)
    error = result.single("quality_check").error
    assert f"{day}: 99999 rows in all, at least 100000 are expected" in error
    assert "missing" not in error
    assert loaded(bed, day) == made.events


def test_exactly_the_minimum_passes(bed: Any, seed: Any, run_dag: Any, new_day: NewDay) -> None:
    day = new_day()
    made = seed(DAG, day=day, rows=100_000)
    assert run_dag(DAG, day=day).state == "success"
    assert loaded(bed, day) == made.events


def test_a_shard_stopped_under_its_reader_heals_by_the_retry(
    bed: Any, seed: Any, run_dag: Any, new_day: NewDay, elsewhere: ThreadPoolExecutor
) -> None:
    day = new_day()
    seed(DAG, day=day)
    with locked(bed, 1):
        running = elsewhere.submit(run_dag, DAG, day=day)
        until(lambda: waiting_readers(bed, 1) == 1, "the reader of shard 1 waits for the lock")
        bed.substrate.stop("shard-1")
    try:
        until(lambda: "up_for_retry" in states(bed, day), "the instance of shard 1 waits for its second try")
    finally:
        bed.substrate.start("shard-1")
    result = running.result()

    assert result.state == "success"
    task = result.task("process_shard")
    assert (task.success, task.tries) == (3, [1, 2, 1])
    assert loaded(bed, day) == CLEAN
    first_try = bed.airflow.log(DAG, result.run_id, "process_shard", 1, 1)
    assert "terminating connection due to administrator command" in first_try


def test_the_pool_holds_across_dags(
    bed: Any, seed: Any, run_dag: Any, new_day: NewDay, elsewhere: ThreadPoolExecutor
) -> None:
    day = new_day()
    seed(DAG, day=day)
    holders = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'loader' AND wait_event = 'advisory'"
    with bed.database("warehouse") as warehouse:
        warehouse.execute("SELECT pg_advisory_lock(%s)", [TEST_HOLDS])
        other = elsewhere.submit(run_dag, "db_etl_holder")
        until(lambda: warehouse.execute(holders).fetchone()[0] == 2, "the other DAG holds 2 of the 4 slots")
        with ExitStack() as locks:
            for shard_id in SHARDS:
                locks.enter_context(locked(bed, shard_id))
            running = elsewhere.submit(run_dag, DAG, day=day)
            until(lambda: waiting_readers(bed, *SHARDS) == 2, "two readers wait for the locks")
            assert sorted(str(state) for state in states(bed, day)) == ["running", "running", "scheduled"]
        result = running.result()
        assert not other.done()
        warehouse.execute("SELECT pg_advisory_unlock(%s)", [TEST_HOLDS])
    held = other.result()

    assert (result.state, held.state) == ("success", "success")
    assert (result.task("process_shard").max_running, held.task("hold").max_running) == (2, 2)
    assert result.task("process_shard").tries == [1, 1, 1]
    assert loaded(bed, day) == CLEAN


def test_the_cap_holds_across_runs(
    bed: Any, seed: Any, run_dag: Any, new_day: NewDay, elsewhere: ThreadPoolExecutor
) -> None:
    """Two runs want 6 instances and the pool has 4 slots: the DAG's own cap of 3 decides."""
    days = [new_day(), new_day()]
    for day in days:
        seed(DAG, day=day)
    with ExitStack() as locks:
        for shard_id in SHARDS:
            locks.enter_context(locked(bed, shard_id))
        running = [elsewhere.submit(run_dag, DAG, day=day) for day in days]
        until(lambda: len(states(bed, *days)) == 6, "both runs have their instances")
        until(lambda: waiting_readers(bed, *SHARDS) == 3, "three readers wait for the locks")
        assert sorted(str(state) for state in states(bed, *days)) == ["running"] * 3 + ["scheduled"] * 3
    results = [each.result() for each in running]

    assert [result.state for result in results] == ["success", "success"]
    assert [loaded(bed, day) for day in days] == [CLEAN, CLEAN]
    starts_and_ends = [
        moment
        for result in results
        for instance in result.task("process_shard").instances
        for moment in ((instance.started, 1), (instance.ended, -1))
    ]
    at_once = highest = 0
    for _, change in sorted(starts_and_ends, key=lambda moment: (moment[0], moment[1])):
        at_once += change
        highest = max(highest, at_once)
    assert highest == 3
