"""All SQL on Airflow's metadata database, in one place (tables as Airflow 3.3.2 has them).

Read only. Faster and steadier than the REST API for following a run: polling `GET dagRuns/{id}` walks all DAG versions.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import class_row, scalar_row

from airbed.clients.postgres import open_session
from airbed.clients.rows import (
    Attempt,
    BackfillDay,
    DagRow,
    ImportErrorRow,
    InstanceRow,
    ObjectRow,
    RunRow,
    XComRow,
)
from airbed.errors import Unavailable

Row = TypeVar("Row")
LARGEST_VALUE = 4 * 1024 * 1024


class Metadata:
    """Queries on one metadata database. One connection, opened on first use and again when it was lost."""

    def __init__(self, url: str) -> None:
        """`url` is a `postgresql://` URL with credentials."""
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- runs

    def run(self, dag_id: str, run_id: str) -> RunRow | None:
        """The run, or None."""
        return _first(self._rows(RunRow, _RUN + "where dag_id = %s and run_id = %s", [dag_id, run_id]))

    def run_by_id(self, run_id: str) -> list[RunRow]:
        """The runs of that id, of any DAG (ids are unique in a DAG only), latest first."""
        return self._rows(RunRow, _RUN + "where run_id = %s order by id desc", [run_id])

    def runs(self, dag_id: str) -> list[RunRow]:
        """All runs of a DAG, oldest first."""
        return self._rows(RunRow, _RUN + "where dag_id = %s order by id", [dag_id])

    def unfinished_runs(self) -> list[RunRow]:
        """The queued and running runs of all DAGs."""
        return self._rows(RunRow, _RUN + "where state not in ('success', 'failed') order by id", [])

    def run_of_date(self, dag_id: str, logical_date: datetime) -> RunRow | None:
        """The run with that logical date, or None."""
        return _first(self._rows(RunRow, _RUN + "where dag_id = %s and logical_date = %s", [dag_id, logical_date]))

    def state_counts(self, dag_id: str, run_id: str) -> dict[str, int]:
        """Instances of a run by state; the state of what nobody looked at yet is called `none`."""
        pairs = self._tuples(
            "select coalesce(state, 'none'), count(*) from task_instance where dag_id = %s and run_id = %s "
            "group by 1 order by 1",
            [dag_id, run_id],
        )
        return {str(state): int(count) for state, count in pairs}

    def instances(self, dag_id: str, run_id: str) -> list[InstanceRow]:
        """All instances of a run, by task and map_index."""
        return self._rows(
            InstanceRow,
            "select task_id, map_index, state, try_number, max_tries, start_date, end_date from task_instance "
            "where dag_id = %s and run_id = %s order by task_id, map_index",
            [dag_id, run_id],
        )

    def attempts(self, dag_id: str, run_ids: Sequence[str] | None = None) -> list[Attempt]:
        """All tries that started, of these runs (None: all of the DAG), by start.

        Earlier tries are in task_instance_history. A row of task_instance keeps the dates of the try before while it
        waits for the next one, so it counts only in states that a started try has.
        """
        return self._rows(Attempt, _ATTEMPTS, {"dag_id": dag_id, "run_ids": list(run_ids) if run_ids else None})

    def deferred(self, dag_id: str, run_ids: Sequence[str]) -> set[tuple[str, str, int, int]]:
        """The tries of these runs (run, task, map_index, try) that were deferred for a while, from the audit log."""
        rows = self._tuples(
            "select distinct run_id, task_id, map_index, try_number from log "
            "where event = 'deferred' and dag_id = %s and run_id = any(%s)",
            [dag_id, list(run_ids)],
        )
        return {(str(run_id), str(task_id), int(index), int(number)) for run_id, task_id, index, number in rows}

    # -- mapping

    def map_lengths(self, dag_id: str, run_id: str) -> dict[str, int]:
        """For each task whose result is mapped over, the length of that result (table task_map)."""
        pairs = self._tuples(
            "select task_id, length from task_map where dag_id = %s and run_id = %s and map_index < 0", [dag_id, run_id]
        )
        return {str(task_id): int(length) for task_id, length in pairs}

    def structure(self, dag_id: str, run_id: str | None = None) -> dict[str, Any] | None:
        """The DAG as serialised (`{"dag": {"tasks": [...], "task_group": ...}}`): the run's version, else the latest.

        None when the scheduler does not know the DAG, or stores it compressed.
        """
        rows = self._scalars(
            "select s.data from serialized_dag s left join dag_run r on r.created_dag_version_id = s.dag_version_id "
            "and r.dag_id = s.dag_id and r.run_id = %s where s.dag_id = %s "
            "order by (r.id is null), s.created_at desc limit 1",
            [run_id, dag_id],
        )
        return rows[0] if rows and isinstance(rows[0], dict) else None

    # -- XComs

    def xcoms(self, dag_id: str, run_id: str, key: str = "return_value", task_id: str | None = None) -> list[XComRow]:
        """The XComs of one key in a run, by task and map_index."""
        return self._rows(
            XComRow,
            "select dag_id, run_id, task_id, map_index, case when pg_column_size(value) <= %s then value end as value "
            "from xcom where dag_id = %s and run_id = %s and key = %s and (%s::text is null or task_id = %s) "
            "order by task_id, map_index",
            [LARGEST_VALUE, dag_id, run_id, key, task_id, task_id],
        )

    def xcom_objects(self, scheme: str = "s3://") -> list[ObjectRow]:
        """The XCom rows of all runs whose value is the URL of an object."""
        return self._rows(
            ObjectRow,
            "select dag_id, run_id, task_id, map_index, key, value #>> '{}' as url from xcom "
            "where jsonb_typeof(value) = 'string' and starts_with(value #>> '{}', %s) order by 1, 2, 3, 4, 5",
            [scheme],
        )

    # -- DAGs

    def dag(self, dag_id: str) -> DagRow | None:
        """What the scheduler knows of the DAG (None: nothing), once it is serialised too."""
        return _first(
            self._rows(
                DagRow,
                "select dag_id, is_paused, is_stale, coalesce(has_import_errors, false) as has_import_errors, "
                "bundle_name, fileloc, relative_fileloc, last_parsed_time from dag d where dag_id = %s "
                "and exists (select 1 from serialized_dag s where s.dag_id = d.dag_id)",
                [dag_id],
            )
        )

    def dag_ids(self) -> list[str]:
        """The ids of all DAGs that are not stale, sorted."""
        return [str(each) for each in self._scalars("select dag_id from dag where not is_stale order by 1", [])]

    def import_errors(self) -> list[ImportErrorRow]:
        """The DAG files that cannot be imported now, by path."""
        return self._rows(
            ImportErrorRow,
            "select bundle_name, coalesce(filename, '') as filename, timestamp, coalesce(stacktrace, '') as stacktrace "
            "from import_error order by filename",
            [],
        )

    def bundle_folder(self, bundle_name: str | None) -> str | None:
        """The folder that a DAG bundle lies in, as its known DAGs tell it; None when it has none."""
        rows = self._scalars(
            "select left(fileloc, -length(relative_fileloc)) from dag where bundle_name = %s "
            "and length(relative_fileloc) > 0 and right(fileloc, length(relative_fileloc)) = relative_fileloc limit 1",
            [bundle_name],
        )
        return str(rows[0]) if rows else None

    # -- backfills

    def backfill_days(self, backfill_id: int) -> list[BackfillDay]:
        """The logical dates of a backfill in their order, with their runs."""
        return self._rows(
            BackfillDay,
            "select b.logical_date, r.run_id, r.state, b.exception_reason as reason from backfill_dag_run b "
            "left join dag_run r on r.id = b.dag_run_id where b.backfill_id = %s order by b.sort_ordinal",
            [backfill_id],
        )

    def done_backfills(self, dag_id: str) -> list[int]:
        """The ids of a DAG's backfills whose runs have all ended, but which Airflow has not marked complete yet."""
        return self._scalars(
            "select b.id from backfill b where b.dag_id = %s and b.completed_at is null and not exists ("
            "select 1 from dag_run r where r.backfill_id = b.id and r.state not in ('success', 'failed')) order by 1",
            [dag_id],
        )

    # -- the database itself

    def size(self) -> int:
        """The size of the whole metadata database in bytes."""
        return int(self._scalars("select pg_database_size(current_database())", [])[0])

    def _rows(self, shape: type[Row], query: LiteralString, values: Sequence[Any] | dict[str, Any]) -> list[Row]:
        return self._fetch(class_row(shape), query, values)

    def _scalars(self, query: LiteralString, values: Sequence[Any]) -> list[Any]:
        return self._fetch(scalar_row, query, values)

    def _tuples(self, query: LiteralString, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._fetch(psycopg.rows.tuple_row, query, values)

    def _fetch(self, shape: Any, query: LiteralString, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        with self._lock:
            try:
                return self._fetch_once(shape, query, values)
            except psycopg.OperationalError:
                # the server was restarted since the last query: one fresh connection, then give up
                self.close()
            try:
                return self._fetch_once(shape, query, values)
            except psycopg.OperationalError as error:
                self.close()
                reason = " ".join(str(error).split())
                raise Unavailable(f"cannot read Airflow's metadata database: {reason}; see: airbed status") from error

    def _fetch_once(self, shape: Any, query: LiteralString, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        if self._connection is None:
            self._connection = open_session(
                self._url, connect_timeout=5, options="-c timezone=UTC", application_name="airbed"
            )
        with self._connection.cursor(row_factory=shape) as cursor:
            return list(cursor.execute(query, values).fetchall())


_RUN: LiteralString = (
    "select dag_id, run_id, state, run_type, logical_date, data_interval_start, data_interval_end, queued_at, "
    "start_date, end_date from dag_run "
)

_ATTEMPTS: LiteralString = """
    select dag_id, run_id, task_id, map_index, try_number, state, start_date, end_date
      from task_instance_history
     where dag_id = %(dag_id)s and (%(run_ids)s::text[] is null or run_id = any(%(run_ids)s))
       and start_date is not null and try_number > 0
    union all
    select dag_id, run_id, task_id, map_index, try_number, state, start_date, end_date
      from task_instance t
     where dag_id = %(dag_id)s and (%(run_ids)s::text[] is null or run_id = any(%(run_ids)s))
       and start_date is not null and try_number > 0
       and state in ('running', 'success', 'failed', 'skipped', 'deferred', 'up_for_reschedule', 'restarting')
       and not exists (
         select 1 from task_instance_history h
          where h.dag_id = t.dag_id and h.run_id = t.run_id and h.task_id = t.task_id
            and h.map_index = t.map_index and h.try_number = t.try_number)
    order by start_date
"""


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
