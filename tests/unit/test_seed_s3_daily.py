"""The made-up S3 day: the same for a seed number, and exactly what its summary says. No services."""

from __future__ import annotations

import io
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airbed.errors import UsageError
from airbed.seed import s3_daily

DAY = date(2026, 1, 1)


def test_the_same_seed_number_gives_the_same_bytes() -> None:
    assert s3_daily.make(DAY, seed=3, rows=2000) == s3_daily.make(DAY, seed=3, rows=2000)


def test_another_seed_number_or_day_gives_other_content() -> None:
    _, bodies = s3_daily.make(DAY, seed=3, rows=2000)
    _, other_seed = s3_daily.make(DAY, seed=4, rows=2000)
    _, other_day = s3_daily.make(date(2026, 1, 2), seed=3, rows=2000)
    assert set(bodies) == set(other_seed)
    assert sum(bodies[key] == other_seed[key] for key in bodies) == 1  # manifest.json
    assert not set(bodies) & set(other_day)


def test_every_file_is_what_the_summary_says() -> None:
    summary, bodies = s3_daily.make(DAY, rows=5000, files=20, unreadable=3)
    for file in summary.files:
        assert file.size == len(bodies[file.key])
        if not file.readable:
            with pytest.raises(pa.ArrowInvalid):
                pq.read_table(io.BytesIO(bodies[file.key]))
            continue
        table = pq.read_table(io.BytesIO(bodies[file.key]))
        assert (table.num_rows, table.column("customer_id").null_count) == (file.rows, file.null_customers)
    assert len(summary.unreadable) == 3
    assert summary.rows == sum(file.rows for file in summary.files) == 5000
    assert summary.size == sum(map(len, bodies.values()))
    assert summary.objects == len(bodies) == 21
    assert [key for key in bodies if not key.endswith(".parquet")] == list(summary.others)


def test_sizes_are_uneven_and_some_files_have_rows_without_customer() -> None:
    summary, _ = s3_daily.make(DAY, unreadable=0)
    rows = [file.rows for file in summary.files]
    assert min(rows) * 3 < max(rows)
    assert {bool(file.null_customers) for file in summary.files} == {True, False}


def test_order_ids_are_unique_over_the_day() -> None:
    _, bodies = s3_daily.make(DAY, rows=3000, unreadable=0)
    ids = [
        order
        for key, body in bodies.items()
        if key.endswith(".parquet")
        for order in pq.read_table(io.BytesIO(body)).column("order_id").to_pylist()
    ]
    assert len(set(ids)) == len(ids) == 3000


def test_every_file_may_be_unreadable() -> None:
    summary, _ = s3_daily.make(DAY, files=3, unreadable=3)
    assert (summary.rows, len(summary.unreadable)) == (0, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"files": 0}, "files 0 is out of range: give 1 to 5000"),
        ({"files": 4, "unreadable": 5}, "unreadable 5 is out of range: give 0 to 4"),
        ({"files": 4, "rows": 3}, "rows 3 is out of range: give 4 to 50000000"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        s3_daily.make(DAY, **options)
    assert str(refused.value) == said
