"""A day of order files in S3, for `s3_daily_processor`."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from airbed.seed.options import ensure_between, shares
from airbed.seed.summary import Summary

BUCKET = "raw-data"
NULL_CUSTOMERS = 0.04
UPLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class File:
    """One parquet object. `rows` is 0 when it is not `readable`; `null_customers` of the rows have no customer_id."""

    key: str
    size: int
    rows: int
    null_customers: int
    readable: bool


@dataclass(frozen=True)
class S3DailySummary(Summary):
    """`files` are the parquet objects in key order, `others` the keys of what a reader must leave alone."""

    bucket: str = BUCKET
    prefix: str = ""
    files: tuple[File, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Keys of the files that no parquet reader can open."""
        return tuple(each.key for each in self.files if not each.readable)

    @property
    def null_customers(self) -> int:
        """Rows without customer_id, over all readable files."""
        return sum(each.null_customers for each in self.files)


def make(
    day: date, *, seed: int = 1, rows: int = 24_000, files: int = 24, unreadable: int = 1
) -> tuple[S3DailySummary, dict[str, bytes]]:
    """Make the day's objects in memory: the summary, and key to body.

    `files` parquet files of uneven size, of which `unreadable` are cut in the middle; `rows` in all readable ones
    together, at least one in each; half of the files have rows without customer_id. One object, `manifest.json`, is no
    parquet. Raises UsageError for impossible options.
    """
    ensure_between("files", files, 1, 5000)
    ensure_between("unreadable", unreadable, 0, files)
    ensure_between("rows", rows, files, 50_000_000)
    prefix = f"raw/{day:%Y/%m/%d}/"
    random = np.random.default_rng([seed, day.toordinal()])
    broken = set(random.choice(files, size=unreadable, replace=False).tolist())
    sound = [index for index in range(files) if index not in broken]
    sizes = dict(zip(sound, shares(rows, random.lognormal(0, 0.8, size=len(sound)).tolist(), at_least=1), strict=True))
    bodies: dict[str, bytes] = {}
    made: list[File] = []
    first_order = day.toordinal() * 10_000_000
    for index in range(files):
        key = f"{prefix}part-{index:05d}.parquet"
        count = sizes.get(index, rows // files)
        table = _orders(day, random, first_order, count, with_nulls=index % 2 == 0)
        first_order += count
        body = _parquet(table)
        nulls = table.column("customer_id").null_count
        if index in broken:
            body = body[: len(body) // 2]
            made.append(File(key, len(body), 0, 0, readable=False))
        else:
            made.append(File(key, len(body), count, nulls, readable=True))
        bodies[key] = body
    manifest = f"{prefix}manifest.json"
    nulls_in_all = sum(each.null_customers for each in made)
    bodies[manifest] = json.dumps({"day": day.isoformat(), "files": files}).encode()
    summary = S3DailySummary(
        pattern="s3_daily_processor",
        day=day,
        seed=seed,
        objects=len(bodies),
        rows=sum(each.rows for each in made),
        size=sum(len(body) for body in bodies.values()),
        note=f"{unreadable} of {files} files unreadable, {nulls_in_all} rows without customer_id, 1 object not parquet",
        prefix=prefix,
        files=tuple(made),
        others=(manifest,),
    )
    return summary, bodies


def put(
    s3: Any, day: date, *, seed: int = 1, rows: int = 24_000, files: int = 24, unreadable: int = 1
) -> S3DailySummary:
    """Make the day's objects and put them into bucket `raw-data` with a boto3 client.

    What else lies under the day's prefix is deleted. Options and errors as for `make`.
    """
    summary, bodies = make(day, seed=seed, rows=rows, files=files, unreadable=unreadable)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=summary.prefix)
    stale = [each["Key"] for page in pages for each in page.get("Contents", []) if each["Key"] not in bodies]
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        list(pool.map(lambda key: s3.delete_object(Bucket=BUCKET, Key=key), stale))
        list(pool.map(lambda item: s3.put_object(Bucket=BUCKET, Key=item[0], Body=item[1]), bodies.items()))
    return summary


def _orders(day: date, random: np.random.Generator, first: int, count: int, *, with_nulls: bool) -> pa.Table:
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    customers = random.zipf(1.3, size=count) % 3_000_000
    absent = random.random(count) < (NULL_CUSTOMERS if with_nulls else 0)
    if with_nulls and count:
        absent[0] = True
    return pa.table(
        {
            "order_id": pa.array(np.arange(first, first + count)),
            "customer_id": pa.array(customers, mask=absent),
            "ordered_at": pa.array(
                midnight + np.sort(random.integers(0, 86_400_000, size=count)), pa.timestamp("ms", "UTC")
            ),
            "amount": pa.array(np.round(random.lognormal(3.2, 0.9, size=count), 2)),
            "currency": pa.array(random.choice(["USD", "EUR", "GBP", "JPY"], size=count, p=[0.6, 0.25, 0.1, 0.05])),
        }
    )


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="snappy")
    return buffer.getvalue()
