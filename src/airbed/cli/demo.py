"""`airbed demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from airbed.cli.common import JsonOption, NameOption, bed_name, console, emit_json, output, progress_lines

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.demo.scenario import Row


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(demo)


def demo(name: NameOption = None, json: JsonOption = False) -> None:
    """Run the six patterns on a bed, clean and with partial failures; the bed stays up.

    Ends with 1 when a row did not come out as it must.

    [bold]Example[/bold]

      airbed demo --json > demo.json
    """
    from airbed.demo.runner import demo as play
    from airbed.settings import load_settings

    progress = progress_lines()
    bed, rows = play(load_settings(), bed_name(name), progress, lambda row: progress(_line(row)))
    if json:
        login = bed.endpoints.airflow
        emit_json(
            {
                "bed": bed.name,
                "airflow": {"url": login.url, "user": login.user, "password": login.password},
                "scenarios": [row.as_json() for row in rows],
            }
        )
    else:
        _print_table(bed, rows)
    raise typer.Exit(0 if all(row.ok for row in rows) else 1)


def _line(row: Row) -> str:
    from rich.markup import escape

    verdict = "[green]ok[/green]" if row.ok else "[red]NOT OK[/red]"
    counts = f"{row.success} success, {row.soft} soft, {row.hard} hard, {row.skipped} skipped of {row.instances}"
    why = "" if row.ok else f": {escape(row.why)}"
    return f"{verdict}  {row.dag_id}, {row.scenario}: run {row.state}, {counts}, {row.seconds} s{why}"


def _print_table(bed: Bed, rows: list[Row]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("DAG", overflow="fold")
    table.add_column("injected", overflow="fold")
    for column in ("run", "n", "success", "soft", "hard", "skipped", "at once", "s", "verdict"):
        table.add_column(column, justify="left" if column in ("run", "verdict") else "right", no_wrap=True)
    for row in rows:
        counts = (row.instances, row.success, row.soft, row.hard, row.skipped)
        verdict = "[green]ok[/green]" if row.ok else "[red]NOT OK[/red]"
        at_once = f"{row.max_running} of {row.cap}"
        table.add_row(row.dag_id, row.injected, row.state, *map(str, counts), at_once, f"{row.seconds:.1f}", verdict)
    output.print(table)
    for row in rows:
        if not row.ok:
            console.print(f"[red]{row.dag_id}, {row.scenario}:[/red] {row.why}", soft_wrap=True)
    login = bed.endpoints.airflow
    option = "" if bed.name == "bed" else f" --name {bed.name}"
    output.print(
        f"\nThe bed stays up. Airflow: {login.url}   user {login.user}   password {login.password}", soft_wrap=True
    )
    output.print(
        f"Next: airbed status{option} · airbed run s3_daily_processor --day 2026-01-06{option} · airbed seed s3"
        f" --day 2026-01-08{option} · airbed down{option}",
        soft_wrap=True,
    )
