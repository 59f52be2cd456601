"""`airbed demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from airbed.cli.common import JsonOption, NameOption, OnOption, bed_name, console, emit_json, output, progress_lines

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.demo.scenario import Row

HEAD = f"{'run':<8}{'n':>4}{'success':>9}{'soft':>6}{'hard':>6}{'skipped':>9}{'at once':>10}{'s':>8}  verdict"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(demo)


def demo(name: NameOption = None, on: OnOption = None, json: JsonOption = False) -> None:
    """Run the six patterns on a bed, clean and with partial failures; the bed stays up.

    Ends with 1 when a row did not come out as it must.

    [bold]Example[/bold]

      airbed demo --json > demo.json
    """
    from airbed.demo.runner import demo as play
    from airbed.settings import load_settings
    from airbed.substrates.registry import asked_for

    progress, marked = progress_lines(), progress_lines(markup=True)
    bed, rows = play(load_settings(), bed_name(name), asked_for(on), progress, lambda row: marked(_line(row)))
    if json:
        login = bed.endpoints.airflow
        emit_json(
            {
                "bed": bed.name,
                "substrate": bed.spec.substrate,
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
    """One row a scenario; on a narrow terminal what was injected stands above the numbers."""
    from rich.markup import escape

    dag = max(len(row.dag_id) for row in rows) + 2
    injected = max(len(row.injected) for row in rows) + 2
    wide = output.width >= dag + injected + len(HEAD)
    output.print(f"[bold]{'DAG':<{dag}}{'injected':<{injected}}{HEAD}[/bold]" if wide else f"[bold]{HEAD}[/bold]")
    for row in rows:
        verdict = "[green]ok[/green]" if row.ok else "[red]NOT OK[/red]"
        at_once = f"{row.max_running} of {row.cap}"
        numbers = (
            f"{row.state:<8}{row.instances:>4}{row.success:>9}{row.soft:>6}{row.hard:>6}{row.skipped:>9}"
            f"{at_once:>10}{row.seconds:>8.1f}  {verdict}"
        )
        if wide:
            output.print(f"{row.dag_id:<{dag}}{row.injected:<{injected}}{numbers}")
        else:
            output.print(f"{row.dag_id}: {row.injected}", soft_wrap=True)
            output.print(numbers)
    for row in rows:
        if not row.ok:
            console.print(f"[red]{row.dag_id}, {row.scenario}:[/red] {escape(row.why)}", soft_wrap=True)
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
