"""How far a run is, read from the metadata database itself.

Not from the REST API: that would take time and database connections from the server that is being measured. An
`airflow standalone` whose API was asked twice a second stopped with 50 instances, "database is locked".
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from airbed.bench.workload import DAG_ID, MAPPED

if TYPE_CHECKING:
    from airbed.bed import Bed


class Watch(Protocol):
    """Reads what Airflow wrote about the runs of the benchmark's DAG."""

    def state(self, run_id: str) -> str | None:
        """The run's state, None when it is not known just now."""

    def done(self, run_id: str) -> int:
        """How many of the mapped instances have succeeded."""


class BedWatch:
    """The metadata database of a bed."""

    def __init__(self, bed: Bed) -> None:
        self._metadata = bed.metadata

    def state(self, run_id: str) -> str | None:
        """The run's state."""
        row = self._metadata.run(DAG_ID, run_id)
        return row.state if row else None

    def done(self, run_id: str) -> int:
        """How many of the mapped instances have succeeded."""
        rows = self._metadata.instances(DAG_ID, run_id)
        return sum(each.task_id == MAPPED and each.state == "success" for each in rows)


class SqliteWatch:
    """The SQLite file of `airflow standalone`. It has a write-ahead log, so that a reader holds nobody up."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def state(self, run_id: str) -> str | None:
        """The run's state."""
        found = self._one("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", DAG_ID, run_id)
        return None if found is None else str(found)

    def done(self, run_id: str) -> int:
        """How many of the mapped instances have succeeded."""
        query = (
            "SELECT count(*) FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ? AND state = 'success'"
        )
        found = self._one(query, DAG_ID, run_id, MAPPED)
        return int(str(found)) if found is not None else 0

    def _one(self, query: str, *values: str) -> object:
        # What cannot be read just now is read the next time.
        with contextlib.suppress(sqlite3.OperationalError):
            connection = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=1)
            try:
                row = connection.execute(query, values).fetchone()
                return row[0] if row else None
            finally:
                connection.close()
        return None
