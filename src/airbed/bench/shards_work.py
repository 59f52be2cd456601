"""The ways from shards to warehouse: `python -m airbed.bench.shards_work DAGS DAY OUT`, where Airflow is set up.

`pattern` is what `parallel_shard_processor` does. `copy` is the least that can be done: the same query, and its bytes
passed on as they come, as `psql | psql` does. `taught` is what tutorials do: a data frame, and rows that are inserted
one after the other; of a part of one shard, as it takes so long.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg

TIMES = 3
BATCH = 10_000
TAUGHT_ROWS = 20_000
SHARDS = [("shard_0_db", "users_0_to_1M"), ("shard_1_db", "users_1M_to_2M"), ("shard_2_db", "users_2M_to_3M")]
COLUMNS = (
    "event_date shard_id event_id user_id event_type occurred_at amount email_hash user_country user_plan user_since"
)
TAUGHT = """
SELECT e.event_date, e.event_id, e.user_id, e.event_type, e.occurred_at, e.amount, e.email,
       u.country AS user_country, u.plan AS user_plan, u.signed_up AS user_since
FROM {schema}.user_events e LEFT JOIN {schema}.users u USING (user_id)
WHERE e.event_date = %(day)s LIMIT %(rows)s
"""


def pattern(dag: ModuleType, day: date) -> int:
    """The pattern's own function, one shard after the other; returns the rows."""
    return sum(_one(dag, number, day) for number in range(len(SHARDS)))


def pattern_at_once(dag: ModuleType, day: date) -> int:
    """The same, all shards at once, each in a process of its own, as the DAG's three tasks."""
    children = multiprocessing.get_context("fork")
    with children.Pool(len(SHARDS)) as pool:
        return sum(pool.starmap(_one, [(dag.__name__, number, day) for number in range(len(SHARDS))]))


def _one(dag: ModuleType | str, number: int, day: date) -> int:
    module = sys.modules[dag] if isinstance(dag, str) else dag
    conn_id, schema = SHARDS[number]
    loaded: int = module.copy_day(number, conn_id, schema, module.TARGET_SCHEMA, day, BATCH)[1]
    return loaded


def copy(dag: ModuleType, day: date) -> int:
    """Plain COPY through this one process, without Airflow."""
    rows = 0
    key = dag.key_options(os.environ["AIRFLOW_VAR_EMAIL_HASH_KEY"])
    for number, url in enumerate(json.loads(os.environ["BENCH_SHARDS"])):
        with (
            psycopg.connect(url, options=f"-c search_path={SHARDS[number][1]} {key}") as source,
            psycopg.connect(os.environ["BENCH_WAREHOUSE"], options=f"-c search_path={dag.TARGET_SCHEMA}") as warehouse,
        ):
            reader, writer = source.cursor(), warehouse.cursor()
            with (
                reader.copy(dag.READ_DAY, {"shard_id": number, "day": day}) as blocks,
                writer.copy(dag.WRITE_DAY) as target,
            ):
                for block in blocks:
                    target.write(block)
            rows += writer.rowcount
    return rows


def taught(dag: ModuleType, day: date) -> int:
    """A data frame of a part of one shard, and `insert_rows`."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    conn_id, schema = SHARDS[0]
    frame = PostgresHook(conn_id).get_df(TAUGHT.format(schema=schema), parameters={"day": day, "rows": TAUGHT_ROWS})
    frame["email_hash"] = [hashlib.sha256(each.strip().lower().encode()).hexdigest() for each in frame["email"]]
    frame["shard_id"] = 0
    columns = COLUMNS.split()
    rows = frame[columns].astype(object).where(frame[columns].notna(), None)
    target = PostgresHook("warehouse", options=f"-c search_path={dag.TARGET_SCHEMA}")
    target.insert_rows("events", rows.itertuples(index=False, name=None), target_fields=columns)
    return len(rows)


WAYS: dict[str, Callable[[ModuleType, date], int]] = {
    "copy": copy,
    "pattern": pattern,
    "pattern-at-once": pattern_at_once,
}


def main(dags: str, day: date, out: Path) -> None:
    """Let the ways take turns; writes a list of [way, rows, seconds]."""
    sys.path.insert(0, dags)
    dag = importlib.import_module("parallel_shard_processor")

    found: list[tuple[str, int, float]] = []

    def timed(way: str, work: Callable[[ModuleType, date], int]) -> None:
        with psycopg.connect(os.environ["BENCH_WAREHOUSE_ADMIN"]) as warehouse:
            warehouse.execute(f"TRUNCATE {dag.TARGET_SCHEMA}.events".encode())
        began = time.perf_counter()
        rows = work(dag, day)
        found.append((way, rows, time.perf_counter() - began))

    # Once before it counts: the databases read their tables, and this process imports what hooks need.
    pattern(dag, day)
    for _ in range(TIMES):
        for way, work in WAYS.items():
            timed(way, work)
    timed("taught", taught)
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    main(arguments[0], date.fromisoformat(arguments[1]), Path(arguments[2]))
