"""What the tests of the Postgres kinds share: a table with rows that must survive, sessions as tasks have them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from airbed.faults.plane import FaultPlane

TABLE = "warehouse_events.events"
COLUMNS = "(event_date, shard_id, event_id, user_id, event_type, occurred_at)"
INSERT = f"INSERT INTO {TABLE} {COLUMNS} SELECT %s, 0, n, n, 'view', now() FROM generate_series(1, %s) n"
ONE = f"INSERT INTO {TABLE} {COLUMNS} VALUES ('2026-01-02', 0, 1, 1, 'view', now())"


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


def task(bed: Any, service: str = "warehouse") -> psycopg.Connection[Any]:
    """A session as a task has it."""
    return psycopg.connect(bed.endpoints.databases[service].url(task=True), autocommit=True, connect_timeout=10)


def killed_after_injecting(bed: Any, kind: str, **parameters: Any) -> None:
    """Inject in another process, which is killed as soon as the fault is in force."""
    done = _injecting(bed, kind, parameters, "os.kill(os.getpid(), 9)")
    said = done.communicate()[1]
    assert done.returncode == -signal.SIGKILL, said


def killed_while_injecting(bed: Any, kind: str, **parameters: Any) -> None:
    """Inject in another process, which is killed when the undo is on the disk and the fault not yet in force."""
    process = _injecting(bed, kind, parameters, "print('in force')")
    while not FaultPlane(bed).active():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)
    process.kill()
    said = process.communicate()
    assert (process.returncode, said[0]) == (-signal.SIGKILL, ""), said


def _injecting(bed: Any, kind: str, parameters: dict[str, Any], then: str) -> subprocess.Popen[str]:
    code = (
        "import os; from airbed.bed import Bed; from airbed.faults.plane import FaultPlane;"
        "from airbed.faults.registry import make; "
        f"FaultPlane(Bed.open({bed.name!r})).inject(make({kind!r}, {parameters!r})); {then}"
    )
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def nothing_is_left(bed: Any, service: str) -> bool:
    """Whether the server has neither sessions nor disks of a fault, and the bed no fault."""
    with bed.database(service) as admin:
        left = admin.execute(
            "SELECT application_name FROM pg_stat_activity WHERE application_name ~ '^airbed-f'"
            " UNION SELECT spcname FROM pg_tablespace WHERE spcname ~ '^airbed-'"
        ).fetchall()
    return left == [] and FaultPlane(bed).active() == [] and list(bed.files.postgres.glob("airbed-*")) == []
