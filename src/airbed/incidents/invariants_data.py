"""Nothing is lost and nothing is there twice: warehouse, bucket, XComs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from psycopg import sql

from airbed.runs.orphans import split_url, sweep

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.observe import Seen

STAGED = "processed-data"  # where `staging_key` of a returned value lies
# Tables without a unique key: Postgres itself keeps the others free of duplicates.
_WITHOUT_KEY = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique)
     ORDER BY 1, 2
"""


def duplicates(bed: Bed, seen: Seen) -> Iterator[str]:
    """No table of the warehouse has a row twice."""
    with bed.database("warehouse") as connection:
        for schema, table in connection.execute(_WITHOUT_KEY).fetchall():
            query = sql.SQL("SELECT count(*) - count(DISTINCT t.*) FROM {} t").format(sql.Identifier(schema, table))
            row = connection.execute(query).fetchone()
            if row is not None and row[0]:
                yield f"warehouse table {schema}.{table} has {row[0]} rows that are there already"


def lost(bed: Bed, seen: Seen) -> Iterator[str]:
    """What an instance says it delivered is there: staged objects, loaded rows, XCom objects."""
    staged: set[str] | None = None
    # Of a run that was cleared, what it delivered in the end.
    latest = {(run.dag_id, run.run_id): run for runs in seen.runs.values() for run in runs}
    for run in latest.values():
        for each in [each for task in run.tasks.values() for each in task.instances if each.state == "success"]:
            value = each.value if isinstance(each.value, dict) else {}
            if isinstance(value.get("staging_key"), str):
                staged = _keys(bed, STAGED) if staged is None else staged
                if value["staging_key"] not in staged:
                    yield f"{each.name} says it wrote {value['staging_key']}, and {STAGED} has no such object"
            if {"shard_id", "rows_loaded"} <= set(value) and run.logical_date is not None:
                rows = _loaded(bed, run.logical_date.date().isoformat(), value["shard_id"])
                if rows != value["rows_loaded"]:
                    yield f"{each.name} says it loaded {value['rows_loaded']} rows, and the warehouse has {rows}"
    yield from _lost_xcoms(bed, set(latest))


def _lost_xcoms(bed: Bed, runs: set[tuple[str, str]]) -> Iterator[str]:
    rows = [each for each in bed.metadata.xcom_objects() if (each.dag_id, each.run_id) in runs]
    there = {bucket: _keys(bed, bucket) for bucket in {split_url(each.url)[0] for each in rows}}
    for each in rows:
        bucket, key = split_url(each.url)
        if key not in there[bucket]:
            index = f"[{each.map_index}]" if each.map_index >= 0 else ""
            yield f"the XCom {each.key} of {each.task_id}{index} points at {each.url}, and there is no such object"


def orphan_objects(bed: Bed, seen: Seen) -> Iterator[str]:
    """No XCom object is left that no row points at."""
    found = sweep(bed)
    if found.orphans:
        yield f"{len(found.orphans)} XCom objects belong to no row, such as {found.orphans[0].key}"


def _keys(bed: Bed, bucket: str) -> set[str]:
    pages: Any = bed.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {str(each["Key"]) for page in pages for each in page.get("Contents", [])}


def _loaded(bed: Bed, day: str, shard: Any) -> int:
    with bed.database("warehouse") as connection:
        row = connection.execute(
            "SELECT count(*) FROM warehouse_events.events WHERE event_date = %s AND shard_id = %s", [day, shard]
        ).fetchone()
    return int(row[0]) if row else 0
