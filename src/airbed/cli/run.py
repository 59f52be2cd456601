"""`airbed run`."""

from __future__ import annotations

from typing import Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, console, emit_json, open_bed, output
from airbed.cli.progress import showing, time_factor


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(run)


def run(
    dag_id: Annotated[str, typer.Argument(help="A DAG of the bed's DAG folders.")],
    *,
    day: Annotated[
        str | None, typer.Option(help="The data interval: this day, YYYY-MM-DD, 00:00 to 00:00 UTC.")
    ] = None,
    logical_date: Annotated[
        str | None, typer.Option(help="A logical date; the DAG's timetable infers the interval.")
    ] = None,
    conf: Annotated[str | None, typer.Option(help="The run's conf (its params): a JSON object.")] = None,
    task: Annotated[str | None, typer.Option(help="Report this task only, every instance of it.")] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Clear the run of that date and run it again.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the run's end.")] = 600,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Run a DAG, follow it, and say what became of every mapped instance.

    Ends with 0 when the run is a success, 1 when it failed, 2 for wrong input, 3 when the bed is not available.

    [bold]Examples[/bold]

      airbed run s3_daily_processor --day 2026-01-05

      airbed run multi_region_deploy --conf '{"env": "prod", "version": "1.2.3"}'

      airbed run resilient_processing --logical-date 2026-01-05T00:00:00 --task process_item --json
    """
    from rich.markup import escape

    from airbed.faults.ledger import Ledger
    from airbed.faults.recovery import recover
    from airbed.runs.execute import run_dag
    from airbed.runs.follow import Progress
    from airbed.runs.report import as_json, as_table
    from airbed.runs.trigger import ensure_task_exists, parse_conf, parse_day, parse_moment

    values = parse_conf(conf) if conf is not None else None
    if day is not None:
        parse_day(day)
    if logical_date is not None:
        parse_moment(logical_date)
    bed = open_bed(name)
    for each in recover(bed):
        console.print(f"put back {each.entry.id}: {each.entry.kind}, which {each.entry.owner} left", soft_wrap=True)
    if task is not None:
        ensure_task_exists(bed, dag_id, task)
    for entry in Ledger(bed.folder).entries():
        console.print(f"[red]broken on purpose:[/red] {escape(f'{entry.id} {entry.kind} {entry.describe()}')}")
    console.print(f"[bold]{dag_id}[/bold] on bed '{bed.name}': {time_factor(bed.spec.time_scale)}", soft_wrap=True)
    with showing() as show:

        def on_progress(progress: Progress) -> None:
            show(str(progress), progress.seconds)

        result = run_dag(
            bed,
            dag_id,
            day=day,
            logical_date=logical_date,
            conf=values,
            timeout=timeout,
            rerun=rerun,
            appear=5,
            on_progress=on_progress,
        )
    if json:
        emit_json({"bed": bed.name, "time_scale": bed.spec.time_scale, **as_json(result, task)})
    else:
        output.print(as_table(result, task))
    if not result.ok:
        raise typer.Exit(1)
