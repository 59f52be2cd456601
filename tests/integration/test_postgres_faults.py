"""The Postgres kinds: what a client of the tasks' role meets while a fault is in force, and after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from postgres_tasks import (
    ONE,
    TABLE,
    killed_after_injecting,
    killed_while_injecting,
    nothing_is_left,
    rows,
    task,
)
from psycopg.errors import (
    AdminShutdown,
    DeadlockDetected,
    LockNotAvailable,
    QueryCanceled,
    ReadOnlySqlTransaction,
)

from airbed.errors import Unavailable, UsageError
from airbed.faults.plane import FaultPlane

__all__ = ["rows"]


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


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("postgres.lock", {"table": TABLE}),
        ("postgres.deadlock", {"table": TABLE}),
        ("postgres.connections-exhausted", {}),
        ("postgres.read-only", {}),
    ],
)
def test_a_runner_that_is_killed_while_it_injects(bed: Any, rows: None, kind: str, parameters: dict[str, Any]) -> None:
    killed_while_injecting(bed, kind, service="warehouse", **parameters)
    assert [each.entry.kind for each in FaultPlane(bed).clear()] == [kind]
    with closing(task(bed)) as session:
        session.execute("SET lock_timeout = '500ms'")
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


def test_an_expression_that_the_server_does_not_take_is_refused(bed: Any, faults: Any) -> None:
    with pytest.raises(UsageError, match="no regular expression of Postgres: invalid embedded option"):
        faults.inject("postgres.statement-killed", service="warehouse", statement="(?P<a>x)")


def test_a_quick_statement_is_killed_too(bed: Any, faults: Any, rows: None) -> None:
    entry = faults.inject("postgres.statement-killed", service="warehouse", statement="^insert", table=TABLE)
    with closing(task(bed)) as session:
        with pytest.raises(QueryCanceled, match="canceling statement due to user request"):
            session.execute(ONE)
        session.execute(ONE)
    assert faults.undo(entry) == 1
    assert nothing_is_left(bed, "warehouse")
