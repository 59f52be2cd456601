"""Clear what runs left on a bed, with its services up: as after a fresh `airbed up`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from airbed.topology import BUCKETS, DATABASES

if TYPE_CHECKING:
    import psycopg

    from airbed.bed import Bed

# Everything of a run hangs on its row in dag_run; these do not.
_LEFTOVERS = ("backfill_dag_run", "backfill", "log", "asset_event", "deadline")


def reset(bed: Bed) -> dict[str, int]:
    """Put faults back, delete runs, logs, rows, objects, workloads, task rules and metrics; returns counts by kind.

    No other command changes the bed meanwhile. Raises Unavailable when one does so for ten minutes.
    """
    from airbed.locks import locked

    with locked(bed.files, lambda line: None):
        return _reset(bed)


def _reset(bed: Bed) -> dict[str, int]:
    from airbed.faults.recovery import recover
    from airbed.lifecycle import furnish

    faults = len(recover(bed, by_hand=True))
    bed.director.clear_all()
    bed.director.reset_metrics()
    counts = {
        "faults": faults,
        "runs": _clear_runs(bed),
        "objects": _clear_buckets(bed),
        "databases": _clear_tables(bed),
    }
    if bed.spec.kubernetes:
        from airbed.kubernetes import regions

        regions.reset(bed.endpoints.kubernetes.kubeconfig, bed.settings.resources.infra / "kubernetes")
        counts["regions"] = len(bed.endpoints.kubernetes.regions)
    furnish(bed)
    return counts


def _clear_runs(bed: Bed) -> int:
    """Pause every DAG, end what runs, delete all runs and their logs."""
    with bed.database("metadata") as connection:
        connection.execute("UPDATE dag SET is_paused = true")
        connection.execute(
            "UPDATE task_instance SET state = 'failed' WHERE state IN ('running', 'queued', 'scheduled')"
        )
        # Counted here: emptying the table of backfills takes the runs, which refer to it, along.
        row = connection.execute("SELECT count(*) FROM dag_run").fetchone()
        tables = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        for table in _LEFTOVERS:
            if table in tables:
                _empty(connection, f"TRUNCATE {table} CASCADE")
        _empty(connection, "DELETE FROM dag_run")
        connection.execute(
            "UPDATE dag SET exceeds_max_non_backfill = false, next_dagrun = NULL, next_dagrun_create_after = NULL"
        )
    for folder in (bed.files.airflow / "logs").glob("dag_id=*"):
        shutil.rmtree(folder, ignore_errors=True)
    return int(row[0]) if row else 0


def _empty(connection: psycopg.Connection[Any], statement: str) -> None:
    """Execute a statement that locks what the living scheduler locks in another order; again after a deadlock."""
    from psycopg.errors import DeadlockDetected

    for left in reversed(range(5)):
        try:
            connection.execute(statement.encode())
            return
        except DeadlockDetected:
            if not left:
                raise


def _clear_buckets(bed: Bed) -> int:
    deleted = 0
    for bucket in BUCKETS:
        for page in bed.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
            if keys:
                bed.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                deleted += len(keys)
    return deleted


def _clear_tables(bed: Bed) -> int:
    """Make the shards' and the warehouse's tables anew."""
    cleared = 0
    for database in DATABASES:
        statements = database.tables_sql(bed.settings.resources.infra)
        if statements is None or database.namespace is None:
            continue
        with bed.database(database.service) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {database.namespace} CASCADE".encode())
            connection.execute(statements.encode())
        cleared += 1
    return cleared
