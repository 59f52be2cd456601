"""`airbed seed`: the sample data of a pattern."""

from __future__ import annotations

from typing import Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, emit_json, open_bed, output


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(seed)


def seed(
    pattern: Annotated[str, typer.Argument(help="A DAG id, or: s3, shards, regions, resilient, backfill, heavy.")],
    *,
    day: Annotated[str | None, typer.Option(help="The day, YYYY-MM-DD (default: yesterday, UTC).")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows in all (s3, shards).")] = None,
    files: Annotated[int | None, typer.Option(help="Parquet files (s3).")] = None,
    unreadable: Annotated[int | None, typer.Option(help="How many of them no reader can open (s3).")] = None,
    missing: Annotated[
        list[int] | None, typer.Option(help="A shard that gets no partition for the day: 0, 1 or 2 (shards).")
    ] = None,
    number: Annotated[int, typer.Option("--seed", min=0, help="The same number gives the same data.")] = 1,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Write a day of a pattern's sample data into the bed; what that day had is replaced.

    [bold]Examples[/bold]

      airbed seed s3_daily_processor --day 2026-01-01 --files 200 --unreadable 3

      airbed seed shards --day 2026-01-01 --rows 150000 --missing 1
    """
    from datetime import UTC, datetime, timedelta

    from airbed.seed import find_pattern, seed_pattern

    dag_id = find_pattern(pattern).dag_id
    when = day or (datetime.now(UTC) - timedelta(days=1)).date()
    given = {"rows": rows, "files": files, "unreadable": unreadable, "missing": tuple(missing) if missing else None}
    options = {key: value for key, value in given.items() if value is not None}
    made = seed_pattern(open_bed(name), dag_id, when, seed=number, **options)
    if json:
        emit_json(made.as_json())
    else:
        counts = (
            f"{made.objects} objects, {made.rows} rows, {made.size} bytes" if made.objects or made.rows else "nothing"
        )
        output.print(f"{dag_id} {made.day}: {counts}; {made.note}", soft_wrap=True)
