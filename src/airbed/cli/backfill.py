"""`airbed backfill`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from airbed.cli.common import JsonOption, NameOption, console, emit_json, open_bed, output
from airbed.cli.progress import showing, time_factor

if TYPE_CHECKING:
    from airbed.clients.rows import BackfillDay
    from airbed.runs.backfill import BackfillResult


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(backfill)


def backfill(
    dag_id: Annotated[str, typer.Argument(help="A DAG with a schedule.")],
    *,
    first: Annotated[str, typer.Option("--from", help="The first day, YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="The last day, YYYY-MM-DD.")],
    max_active_runs: Annotated[
        int | None, typer.Option(help="Runs at once (default: the DAG's own limit; Airflow's is 10).")
    ] = None,
    reprocess: Annotated[
        Literal["none", "failed", "completed"], typer.Option(help="Days that have a run already: which to run again.")
    ] = "none",
    conf: Annotated[str | None, typer.Option(help="The runs' conf: a JSON object.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for its end.")] = 3600,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Run a DAG for each logical date in a range of days, both whole, and follow it.

    The days are those of the DAG's time zone. Reports each date's state, and the highest number of runs and instances
    seen at once. Ends with 1 when a run failed.

    [bold]Examples[/bold]

      airbed backfill backfill_safe_dag --from 2026-01-01 --to 2026-01-14

      airbed backfill backfill_safe_dag --from 2026-01-01 --to 2026-01-14 --max-active-runs 5 --reprocess completed
    """
    from airbed.runs.backfill import run_backfill
    from airbed.runs.trigger import parse_conf, parse_day

    values = parse_conf(conf) if conf is not None else None
    for each in (first, last):
        parse_day(each)
    bed = open_bed(name)
    console.print(
        f"[bold]{dag_id}[/bold] from {first} to {last} on bed '{bed.name}': {time_factor(bed.spec.time_scale)}",
        soft_wrap=True,
    )
    with showing() as show:

        def on_progress(days: Sequence[BackfillDay], seconds: float) -> None:
            show(_progress(days), seconds)

        result = run_backfill(
            bed,
            dag_id,
            first,
            last,
            max_active_runs=max_active_runs,
            reprocess=reprocess,
            conf=values,
            timeout=timeout,
            appear=5,
            on_progress=on_progress,
        )
    if json:
        emit_json({"bed": bed.name, "time_scale": bed.spec.time_scale, **result.to_json()})
    else:
        _print(result)
    if not result.ok:
        raise typer.Exit(1)


def _progress(days: Sequence[BackfillDay]) -> str:
    from collections import Counter

    counts = Counter(each.state or "skipped" for each in days)
    return f"{len(days)} days: " + ", ".join(f"{count} {state}" for state, count in counts.most_common())


def _print(result: BackfillResult) -> None:
    from rich.table import Table
    from rich.text import Text

    style = {"success": "green", "failed": "red"}
    table = Table("day", "state", pad_edge=False, box=None, header_style="bold")
    table.add_column("seconds", justify="right")
    table.add_column("run", overflow="fold")
    for each in result.days:
        day = f"{each.logical_date:%Y-%m-%d}" if each.logical_date else "?"
        table.add_row(
            day, Text(each.state, style.get(each.state, "dim")), f"{each.seconds:.1f}", each.run_id or each.reason or ""
        )
    output.print(table)
    there = sum(each.state == "skipped" for each in result.days)
    if there:
        output.print(f"{there} days have a run already: --reprocess completed (or failed) runs them again")
    busiest = ", ".join(f"{task} {most}" for task, most in result.max_running_by_task.items()) or "none"
    output.print(
        f"at most {result.max_runs} runs at once (limit {result.max_active_runs}), {result.max_running} instances "
        f"({busiest}), {result.seconds:.1f} s",
        soft_wrap=True,
    )
