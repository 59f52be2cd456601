"""Pattern 2: one mapped instance for each database shard; a day's events into the warehouse, without personal data.

A load is the day of one shard: the rows that were there are deleted and the new ones copied in ONE transaction, so that
a retry, a clear, a rerun or a backfill of the same day always leaves the same warehouse content, and a killed task
leaves what was there before.

Needs the connections `shard_0_db` .. `shard_2_db` and `warehouse`, the pool `db_etl`, and the Airflow Variable
`email_hash_key` (32 characters or more). Works with psycopg 3, which the Postgres provider picks beside SQLAlchemy 2.
Run a day by hand with

    airbed run parallel_shard_processor --day 2026-01-05
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, Variable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import mask_secret

from mapping.day import run_day
from mapping.outcomes import Kind, outcomes
from mapping.recorded import recorded

log = logging.getLogger(__name__)

MINIMUM_ROWS = 100_000
TARGET_SCHEMA = "warehouse_events"

# The e-mail leaves as HMAC-SHA256, made of what every Postgres has (pgcrypto's hmac() gives the same). The key comes as
# a setting that the session begins with: statements end up in server logs, with their parameters.
# LEFT JOIN: an event whose user is deleted by now is still an event.
READ_DAY = """
COPY (
    WITH hash_key AS MATERIALIZED (
        SELECT decode(current_setting('etl.inner_pad'), 'hex') AS inner_pad,
               decode(current_setting('etl.outer_pad'), 'hex') AS outer_pad
    )
    SELECT e.event_date, %(shard_id)s, e.event_id, e.user_id, e.event_type, e.occurred_at, e.amount,
           encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(lower(btrim(e.email)), 'UTF8'))), 'hex'),
           u.country, u.plan, u.signed_up
    FROM user_events e LEFT JOIN users u USING (user_id), hash_key k
    WHERE e.event_date = %(day)s
) TO STDOUT
"""
WRITE_DAY = """
COPY events (event_date, shard_id, event_id, user_id, event_type, occurred_at, amount,
             email_hash, user_country, user_plan, user_since) FROM STDIN
"""


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", "UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    tags=["airbed", "mapping"],
)
def parallel_shard_processor() -> None:
    """Load the day's events of every shard, then check the volume and every shard's count."""

    @task
    def get_active_shards() -> list[dict[str, Any]]:
        return [
            {"shard_id": 0, "conn_id": "shard_0_db", "schema": "users_0_to_1M"},
            {"shard_id": 1, "conn_id": "shard_1_db", "schema": "users_1M_to_2M"},
            {"shard_id": 2, "conn_id": "shard_2_db", "schema": "users_2M_to_3M"},
        ]

    # The cap holds within this DAG, the pool across all DAGs that read the shards: both are needed.
    @task(
        pool="db_etl",
        max_active_tis_per_dag=3,
        retries=2,
        retry_delay=timedelta(seconds=300),
        execution_timeout=timedelta(hours=1),
        # multiple_outputs=False: Airflow takes `-> dict` for one XCom (a request, a row) per key.
        multiple_outputs=False,
    )
    @recorded
    def process_shard(shard_id: int, conn_id: str, schema: str, target_schema: str, batch_size: int) -> dict[str, int]:
        day = run_day(get_current_context())
        source_rows, rows_loaded = copy_day(shard_id, conn_id, schema, target_schema, day, batch_size)
        log.info("shard %s, %s: %s rows loaded of %s", shard_id, day, rows_loaded, source_rows)
        return {"shard_id": shard_id, "rows_loaded": rows_loaded, "source_rows": source_rows}

    @task(trigger_rule="all_done", retries=2, retry_delay=timedelta(seconds=300), multiple_outputs=False)
    def quality_check(shards: list[dict[str, Any]] | None, ti: Any = None) -> dict[str, Any]:
        """Fail on a missing shard, on a shard whose warehouse rows are not its source rows, and on too few rows."""
        day = run_day(get_current_context())
        if not shards:
            raise AirflowFailException(f"{day}: no shards were listed, so nothing was loaded")
        with connect("warehouse", TARGET_SCHEMA) as warehouse:
            counted = warehouse.execute(
                "SELECT shard_id, count(*) FROM events WHERE event_date = %s GROUP BY shard_id", [day]
            )
            loaded: dict[int, int] = dict(counted.fetchall())
        total = sum(loaded.get(each["shard_id"], 0) for each in shards)
        problems = []
        if total < MINIMUM_ROWS:
            problems.append(f"{total} rows in all, at least {MINIMUM_ROWS} are expected")
        for each in outcomes(ti, "process_shard", shards):
            name = f"shard {each.item['shard_id']} ({each.item['conn_id']})"
            rows = loaded.get(each.item["shard_id"], 0)
            if each.kind is not Kind.SUCCESS:
                problems.append(f"{name} is missing (tries: {each.tries or 'no record'}): {each.error}")
            elif each.value is None:
                # Marked success by hand, say: whatever the warehouse has, nothing tells how much it should have.
                problems.append(f"{name} left no result to check its {rows} rows in the warehouse against")
            elif rows != each.value["source_rows"]:
                problems.append(f"{name} has {rows} rows in the warehouse, its source has {each.value['source_rows']}")
        if problems:
            raise AirflowFailException(f"{day}: " + "; ".join(problems))
        log.info("%s: %s rows from %s shards, each complete", day, total, len(shards))
        return {"day": day.isoformat(), "rows_loaded": total, "shards": len(shards)}

    shards = get_active_shards()
    loads = process_shard.partial(target_schema=TARGET_SCHEMA, batch_size=10000).expand_kwargs(shards)
    loads >> quality_check(shards)


def copy_day(
    shard_id: int, conn_id: str, schema: str, target_schema: str, day: date, batch_size: int
) -> tuple[int, int]:
    """Replace one shard's day in the warehouse, in one transaction; returns the rows counted there, and loaded."""
    key = key_options(email_hash_key())
    with connect(conn_id, schema, key) as source, connect("warehouse", target_schema) as warehouse:
        reader, writer = source.cursor(), warehouse.cursor()
        # Another run that loads the same day of this shard waits here, before it takes its snapshot: an older
        # snapshot is never loaded over a newer one.
        writer.execute("SELECT pg_advisory_xact_lock(%s, %s)", [day.toordinal(), shard_id])
        source_rows = open_day(reader, day, f"shard {shard_id} ({conn_id}, {schema})")
        writer.execute("DELETE FROM events WHERE event_date = %s AND shard_id = %s", [day, shard_id])
        with (
            reader.copy(READ_DAY, {"shard_id": shard_id, "day": day}) as rows,
            writer.copy(WRITE_DAY) as target,
        ):
            for batch in batched(rows, batch_size):
                target.write(b"".join(batch))
        return source_rows, writer.rowcount


def connect(conn_id: str, search_path: str, options: str = "") -> Any:
    """A psycopg connection of one transaction: committed at the end of the `with` block, rolled back on an error."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return PostgresHook(conn_id, options=f"-c search_path={search_path} {options}").get_conn()


def open_day(reader: Any, day: date, shard: str) -> int:
    """Freeze one snapshot for all that follows, and count the day's rows.

    Raises AirflowFailException (not retried) when the shard has no partition for the day: 0 rows would look
    like a quiet day.
    """
    reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    partition = f"user_events_{day:%Y%m%d}"
    if reader.execute("SELECT to_regclass(%s)", [partition]).fetchone()[0] is None:
        raise AirflowFailException(f"{shard} has no partition {partition} for {day}: was the day ever written there?")
    counted: int = reader.execute("SELECT count(*) FROM user_events WHERE event_date = %s", [day]).fetchone()[0]
    return counted


def email_hash_key() -> str:
    """The secret that makes the hashes of e-mails useless to somebody who guesses e-mails."""
    key: str | None = Variable.get("email_hash_key", default=None)
    if not key or len(key) < 32:
        raise AirflowFailException("the Airflow Variable email_hash_key is missing or shorter than 32 characters")
    mask_secret(key)
    return key


def key_options(key: str) -> str:
    """The key as READ_DAY wants it from the connection: inner and outer pad (RFC 2104) in hexadecimal digits."""
    block = key.encode()
    block = (sha256(block).digest() if len(block) > 64 else block).ljust(64, b"\0")
    inner, outer = bytes(byte ^ 0x36 for byte in block).hex(), bytes(byte ^ 0x5C for byte in block).hex()
    mask_secret(inner)
    mask_secret(outer)
    return f"-c etl.inner_pad={inner} -c etl.outer_pad={outer}"


def batched(rows: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Lists of `size` rows: the most that is in memory at once."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


parallel_shard_processor()
