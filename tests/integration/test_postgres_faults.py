"""The Postgres kinds: what a client of the tasks' role meets while a fault is in force, and after it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.errors import (
    AdminShutdown,
    DeadlockDetected,
    DiskFull,
    LockNotAvailable,
    QueryCanceled,
    ReadOnlySqlTransaction,
)

from airbed.errors import Unavailable, UsageError
from airbed.faults.plane import FaultPlane

TABLE = "warehouse_events.events"
ROWS = 300_000


@pytest.fixture
def rows(bed: Any, faults: Any) -> Iterator[None]:
    """Ten rows of another day in the warehouse, which must survive every fault."""
    with bed.database("warehouse") as admin:
        admin.execute(f"TRUNCATE {TABLE}")
        admin.execute(INSERT, ["2026-01-01", 10])
    yield
    FaultPlane(bed).clear()
    with bed.database("warehouse") as admin:
        left = admin.execute(f"SELECT count(*) FROM {TABLE} WHERE event_date = '2026-01-01'").fetchone()
        admin.execute(f"TRUNCATE {TABLE}")
    assert left == (10,)


COLUMNS = "(event_date, shard_id, event_id, user_id, event_type, occurred_at)"
INSERT = f"INSERT INTO {TABLE} {COLUMNS} SELECT %s, 0, n, n, 'view', now() FROM generate_series(1, %s) n"
ONE = f"INSERT INTO {TABLE} {COLUMNS} VALUES ('2026-01-02', 0, 1, 1, 'view', now())"


def task(bed: Any, service: str = "warehouse") -> psycopg.Connection[Any]:
    """A session as a task has it."""
    return psycopg.connect(bed.endpoints.databases[service].url(task=True), autocommit=True, connect_timeout=10)


def killed_after_injecting(bed: Any, kind: str, **parameters: Any) -> None:
    """Inject in another process, which is killed as soon as the fault is in force."""
    code = (
        "import os, signal, sys; from airbed.bed import Bed; from airbed.faults.plane import FaultPlane;"
        "from airbed.faults.registry import make; "
        f"FaultPlane(Bed.open({bed.name!r})).inject(make({kind!r}, {parameters!r})); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run it beside the test; its result or exception is in the list."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def nothing_is_left(bed: Any, service: str) -> bool:
    with bed.database(service) as admin:
        sessions = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^airbed-f'"
        ).fetchone()
        spaces = admin.execute("SELECT count(*) FROM pg_tablespace WHERE spcname ~ '^airbed-'").fetchone()
    return (sessions, spaces) == ((0,), (0,)) and FaultPlane(bed).active() == []


def test_no_connection_is_left(bed: Any, faults: Any) -> None:
    with closing(task(bed, "shard-1")) as earlier:
        entry = faults.inject("postgres.connections-exhausted", service="shard-1")
        for _ in range(3):
            with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
                task(bed, "shard-1")
        assert earlier.execute("SELECT 1").fetchone() == (1,)
        with closing(task(bed, "shard-0")) as other:
            assert other.execute("SELECT 1").fetchone() == (1,)
    assert faults.undo(entry) == 3
    with closing(task(bed, "shard-1")):
        assert nothing_is_left(bed, "shard-1")


def test_some_connections_are_left(bed: Any, faults: Any) -> None:
    with faults.injected("postgres.connections-exhausted", service="shard-2", leave=2):
        with (
            closing(task(bed, "shard-2")),
            closing(task(bed, "shard-2")),
            pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"),
        ):
            task(bed, "shard-2")
        task(bed, "shard-2").close()


def test_a_killed_runner_leaves_connections_that_clear_takes_back(bed: Any) -> None:
    killed_after_injecting(bed, "postgres.connections-exhausted", service="shard-0")
    with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
        task(bed, "shard-0")
    assert [each.entry.kind for each in FaultPlane(bed).clear()] == ["postgres.connections-exhausted"]
    task(bed, "shard-0").close()
    assert nothing_is_left(bed, "shard-0")


SORT = "SELECT count(*) FROM (SELECT md5(n::text) m FROM generate_series(1, 50000) n ORDER BY m OFFSET 0) s"


def test_a_full_disk(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.disk-full", service="warehouse")
    with closing(task(bed)) as session:
        with pytest.raises(DiskFull, match=r"could not extend file .* No space left on device"):
            session.execute(INSERT, ["2026-01-02", 50_000])
        with (
            pytest.raises(DiskFull, match="No space left on device"),
            session.cursor() as cursor,
            cursor.copy(f"COPY {TABLE} {COLUMNS} FROM STDIN") as copy,
        ):
            for number in range(50_000):
                copy.write_row(("2026-01-03", 0, number, 1, "view", "2026-01-03"))
        with pytest.raises(DiskFull):
            session.execute("CREATE TEMPORARY TABLE staging AS SELECT n FROM generate_series(1, 50000) n")
        session.execute(SORT)
        assert session.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (10,)
    assert faults.undo(entry) == 3
    with closing(task(bed)) as session:
        assert session.execute(INSERT, ["2026-01-02", 50_000]).rowcount == 50_000
    assert nothing_is_left(bed, "warehouse")


def test_a_sort_that_needs_the_full_disk(bed: Any, faults: Any) -> None:
    entry = faults.inject("postgres.disk-full", service="shard-0", work_mem_kb=64)
    with (
        closing(task(bed, "shard-0")) as session,
        pytest.raises(DiskFull, match=r"could not write to file .*pgsql_tmp.* No space left on device"),
    ):
        session.execute(SORT)
    assert faults.undo(entry) == 1
    with closing(task(bed, "shard-0")) as session:
        session.execute(SORT)
        assert session.execute("SHOW work_mem").fetchone() == ("4MB",)
    assert nothing_is_left(bed, "shard-0")


def test_a_disk_with_a_little_room(bed: Any, faults: Any, rows: None) -> None:
    with (
        faults.injected("postgres.disk-full", service="warehouse", free_mb=8),
        closing(task(bed)) as session,
    ):
        assert session.execute(INSERT, ["2026-01-02", 20_000]).rowcount == 20_000
        with pytest.raises(DiskFull):
            session.execute(INSERT, ["2026-01-03", ROWS])
    assert nothing_is_left(bed, "warehouse")


def test_a_killed_runner_leaves_a_full_disk_that_clear_takes_back(bed: Any, faults: Any, rows: None) -> None:
    killed_after_injecting(bed, "postgres.disk-full", service="warehouse")
    with closing(task(bed)) as session, pytest.raises(DiskFull):
        session.execute(INSERT, ["2026-01-02", ROWS])
    with pytest.raises(UsageError, match="is full already"):
        faults.inject("postgres.disk-full", service="warehouse")
    assert [each.entry.kind for each in FaultPlane(bed).clear()] == ["postgres.disk-full"]
    with closing(task(bed)) as session:
        session.execute(ONE)
    assert nothing_is_left(bed, "warehouse")


def test_a_full_disk_survives_the_server(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.disk-full", service="warehouse")
    bed.substrate.kill("warehouse")
    bed.substrate.wait_ready("warehouse")
    with closing(task(bed)) as session, pytest.raises(DiskFull):
        session.execute(INSERT, ["2026-01-02", ROWS])
    faults.undo(entry)
    with closing(task(bed)) as session:
        session.execute(ONE)
    assert nothing_is_left(bed, "warehouse")


def test_a_disk_that_died_with_its_holder_leaves_an_empty_warehouse(bed: Any, faults: Any) -> None:
    from airbed.faults import holder

    entry = faults.inject("postgres.disk-full", service="warehouse")
    holder.end(bed, entry.plan["key"])
    faults.undo(entry)
    with closing(task(bed)) as session:
        session.execute(ONE)
        assert session.execute(f"DELETE FROM {TABLE}").rowcount == 1
    assert nothing_is_left(bed, "warehouse")


def test_a_server_that_was_killed_with_the_holder_of_its_disk_comes_back_empty(bed: Any, faults: Any) -> None:
    from airbed.faults import holder

    entry = faults.inject("postgres.disk-full", service="warehouse", free_mb=8)
    with closing(task(bed)) as session:
        session.execute(INSERT, ["2026-01-02", 1000])
    holder.end(bed, entry.plan["key"])
    bed.substrate.kill("warehouse")
    bed.substrate.wait_ready("warehouse")
    faults.undo(entry)
    with closing(task(bed)) as session:
        session.execute(ONE)
        assert session.execute(f"DELETE FROM {TABLE}").rowcount == 1
    assert nothing_is_left(bed, "warehouse")
    assert list(bed.files.postgres.glob("airbed-*")) == []


def test_a_table_that_others_keep_locked_is_left_alone(bed: Any, faults: Any, rows: None) -> None:
    with closing(task(bed)) as session:
        session.execute("BEGIN")
        session.execute(ONE)
        with pytest.raises(Unavailable, match="other sessions keep the table locked for 15 s"):
            faults.inject("postgres.lock", service="warehouse", table=TABLE)
        session.execute("COMMIT")
    assert nothing_is_left(bed, "warehouse")


def test_a_locked_table(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.lock", service="warehouse", table=TABLE)
    with closing(task(bed)) as session:
        session.execute("SET lock_timeout = '500ms'")
        for statement in (f"SELECT count(*) FROM {TABLE}", ONE):
            with pytest.raises(LockNotAvailable):
                session.execute(statement)
        assert faults.undo(entry) == 2
        session.execute(ONE)
    assert nothing_is_left(bed, "warehouse")


def test_a_lock_that_lets_readers_through(bed: Any, faults: Any, rows: None) -> None:
    faults.inject("postgres.lock", service="warehouse", table=TABLE, mode="SHARE")
    with closing(task(bed)) as session:
        assert session.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (10,)
        waiting, found = in_thread(lambda: session.execute(ONE).rowcount)
        waiting.join(1)
        assert waiting.is_alive()
        faults.clear()
        waiting.join(10)
        assert found == [1]


def test_a_killed_runner_leaves_a_lock_that_clear_takes_back(bed: Any, rows: None) -> None:
    killed_after_injecting(bed, "postgres.lock", service="warehouse", table=TABLE)
    with closing(task(bed)) as session:
        session.execute("SET lock_timeout = '500ms'")
        with pytest.raises(LockNotAvailable):
            session.execute(ONE)
        assert [each.entry.kind for each in FaultPlane(bed).clear()] == ["postgres.lock"]
        session.execute(ONE)
    assert nothing_is_left(bed, "warehouse")


def test_an_unknown_table_is_refused(bed: Any, faults: Any) -> None:
    with pytest.raises(UsageError, match=r"has no table 'events'.*it has: warehouse_events.events"):
        faults.inject("postgres.lock", service="warehouse", table="events")
    assert faults.active() == []


@pytest.mark.parametrize("statement", [ONE, f"DELETE FROM {TABLE}", f"SELECT count(*) FROM {TABLE}"])
def test_a_deadlock_ends_the_task_and_only_once(bed: Any, faults: Any, rows: None, statement: str) -> None:
    entry = faults.inject("postgres.deadlock", service="warehouse", table=TABLE)
    with closing(task(bed)) as session:
        with pytest.raises(DeadlockDetected):
            session.execute(statement)
        session.execute(ONE)
    assert faults.undo(entry) == 1
    assert nothing_is_left(bed, "warehouse")


def test_a_deadlock_for_each_that_comes(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.deadlock", service="warehouse", table=TABLE, times=2)
    with closing(task(bed)) as session:
        for _ in range(2):
            with pytest.raises(DeadlockDetected):
                session.execute(ONE)
        session.execute(ONE)
    assert faults.undo(entry) == 2


def test_a_deadlock_without_a_victim_leaves_nothing(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.deadlock", service="warehouse", table=TABLE)
    assert faults.undo(entry) == 0
    with closing(task(bed)) as session:
        session.execute("SET lock_timeout = '500ms'")
        session.execute(ONE)
    assert nothing_is_left(bed, "warehouse")


def test_a_read_only_database(bed: Any, faults: Any, rows: None) -> None:
    with closing(task(bed)) as earlier:
        earlier.execute("SELECT 1")
        entry = faults.inject("postgres.read-only", service="warehouse")
        with closing(task(bed)) as later:
            for session in (earlier, later):
                with pytest.raises(ReadOnlySqlTransaction, match="cannot execute INSERT in a read-only transaction"):
                    session.execute(ONE)
        bed.substrate.restart("warehouse")
        with closing(task(bed)) as after_restart, pytest.raises(ReadOnlySqlTransaction):
            after_restart.execute(ONE)
        assert faults.undo(entry) == 3
    with closing(task(bed)) as session:
        session.execute(ONE)


@pytest.mark.parametrize(("mode", "error"), [("cancel", QueryCanceled), ("terminate", AdminShutdown)])
def test_a_killed_statement(bed: Any, faults: Any, mode: str, error: type[Exception]) -> None:
    entry = faults.inject("postgres.statement-killed", service="shard-0", statement="pg_sleep", mode=mode, times=2)
    for _ in range(2):
        with closing(task(bed, "shard-0")) as session, pytest.raises(error):
            session.execute("SELECT pg_sleep(30)")
    with closing(task(bed, "shard-0")) as session:
        start = time.monotonic()
        session.execute("SELECT pg_sleep(0.5)")
        assert time.monotonic() - start >= 0.5
    assert faults.undo(entry) == 2
    assert nothing_is_left(bed, "shard-0")


def test_a_quick_statement_is_killed_too(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.statement-killed", service="warehouse", statement="^insert", table=TABLE)
    with closing(task(bed)) as session:
        with pytest.raises(QueryCanceled, match="canceling statement due to user request"):
            session.execute(ONE)
        session.execute(ONE)
    assert faults.undo(entry) == 1
    assert nothing_is_left(bed, "warehouse")
