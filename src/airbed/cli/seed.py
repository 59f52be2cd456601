"""`airbed seed`: the sample data of a pattern."""

from __future__ import annotations

from typing import Annotated

import typer


def seed(
    pattern: Annotated[str, typer.Argument(help="A DAG id, or: s3, shards, regions, resilient, backfill, heavy.")],
    *,
    day: Annotated[str | None, typer.Option(help="The day, YYYY-MM-DD (default: yesterday, UTC).")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows in all.")] = None,
    files: Annotated[int | None, typer.Option(help="Parquet files (s3).")] = None,
    unreadable: Annotated[int | None, typer.Option(help="How many of them no reader can open (s3).")] = None,
    missing: Annotated[
        list[int] | None, typer.Option(help="A shard that gets no partition for the day (shards).")
    ] = None,
    number: Annotated[int, typer.Option("--seed", help="The same number gives the same data.")] = 1,
    name: Annotated[str, typer.Option(help="The bed.")] = "bed",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Put a day of a pattern's sample data into the bed, replacing that day.

    Examples:

      airbed seed s3_daily_processor --day 2026-01-01 --files 200 --unreadable 3

      airbed seed shards --day 2026-01-01 --rows 150000 --missing 1
    """
    from datetime import UTC, date, datetime, timedelta

    from airbed.cli.common import console, emit_json, open_bed
    from airbed.errors import UsageError
    from airbed.seed import find_pattern, seed_pattern

    try:
        when = date.fromisoformat(day) if day else datetime.now(UTC).date() - timedelta(days=1)
    except ValueError:
        raise UsageError(f"--day '{day}' is not a date: write it as YYYY-MM-DD") from None
    given = {"rows": rows, "files": files, "unreadable": unreadable, "missing": tuple(missing) if missing else None}
    options = {key: value for key, value in given.items() if value is not None}
    dag_id = find_pattern(pattern).dag_id
    summary = seed_pattern(open_bed(name), dag_id, when, seed=number, **options)
    if as_json:
        emit_json(summary.as_json())
        return
    console.print(
        f"{dag_id} {when}: {summary.objects} objects, {summary.rows} rows, {summary.size} bytes; {summary.note}"
    )
