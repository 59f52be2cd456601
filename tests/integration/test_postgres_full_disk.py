"""The kind postgres.disk-full: what tasks meet, what survives it, and what a killed runner or server leaves."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from postgres_tasks import (
    COLUMNS,
    INSERT,
    ONE,
    TABLE,
    killed_after_injecting,
    killed_while_injecting,
    nothing_is_left,
    rows,
    task,
)
from psycopg.errors import DiskFull

from airbed.errors import UsageError
from airbed.faults import holder
from airbed.faults.plane import FaultPlane

__all__ = ["rows"]
ROWS = 300_000
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
    bed.substrate.kill("warehouse")
    bed.substrate.wait_ready("warehouse")
    with closing(task(bed)) as session:
        session.execute(ONE)
    assert nothing_is_left(bed, "warehouse")


def test_a_disk_that_died_with_its_holder_leaves_an_empty_warehouse(bed: Any, faults: Any) -> None:
    entry = faults.inject("postgres.disk-full", service="warehouse")
    holder.end(bed, entry.plan["key"])
    faults.undo(entry)
    with closing(task(bed)) as session:
        session.execute(ONE)
        assert session.execute(f"DELETE FROM {TABLE}").rowcount == 1
    assert nothing_is_left(bed, "warehouse")


def test_a_server_that_was_killed_with_the_holder_of_its_disk_comes_back_empty(bed: Any, faults: Any) -> None:
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


def test_a_runner_that_is_killed_while_it_fills_the_disk(bed: Any, rows: None) -> None:
    killed_while_injecting(bed, "postgres.disk-full", service="warehouse")
    assert [each.entry.kind for each in FaultPlane(bed).clear()] == ["postgres.disk-full"]
    with closing(task(bed)) as session:
        assert session.execute(INSERT, ["2026-01-02", 50_000]).rowcount == 50_000
    assert nothing_is_left(bed, "warehouse")
