"""`airbed logs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import NameOption, console, open_bed

if TYPE_CHECKING:
    from airbed.bed import Bed

POLL = 0.3


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(logs)


def logs(
    service: Annotated[str | None, typer.Argument(help="A service, such as scheduler; see airbed status.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lines: Annotated[int, typer.Option(help="How many last lines of a service's log (0: all).")] = 200,
    run: Annotated[str | None, typer.Option(help="A run id (with --task).")] = None,
    task: Annotated[str | None, typer.Option(help="A task of that run, or one instance: 'process_file[5]'.")] = None,
    dag: Annotated[str | None, typer.Option(help="The run's DAG, when several DAGs have that run id.")] = None,
    number: Annotated[int | None, typer.Option("--try", help="Which try (default: the latest).")] = None,
    name: NameOption = None,
) -> None:
    """Print the log of a service, or of one task instance.

    [bold]Examples[/bold]

      airbed logs scheduler -f

      airbed logs --run manual__2026-01-05T00:00:00+00:00 --task 'process_file[5]'

      airbed logs --run manual__2026-01-05T00:00:00+00:00 --task 'process_file[5]' --try 1
    """
    from airbed.errors import UsageError

    if (service is None) == (run is None) or (run is None) != (task is None):
        raise UsageError("logs of what? give a service, or --run and --task; see: airbed logs --help")
    if service is not None:
        _service_log(open_bed(name), service, lines, follow)
        return
    assert run is not None and task is not None
    if follow:
        raise UsageError("-f follows a service's log; a task's log is printed as it is now")
    from airbed.runs.tasklog import task_log

    text, where = task_log(open_bed(name), run, task, dag_id=dag, try_number=number)
    console.print(where, style="dim", soft_wrap=True, markup=False)
    sys.stdout.write(text + "\n")


def _service_log(bed: Bed, service: str, lines: int, follow: bool) -> None:
    import difflib

    from airbed.errors import Unavailable, UsageError
    from airbed.topology import SERVICES

    if service not in SERVICES:
        near = difflib.get_close_matches(service, SERVICES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(SERVICES)}"
        raise UsageError(f"there is no service '{service}'; {hint}")
    file = bed.substrate.log_file(service)
    if not file.is_file():
        raise Unavailable(
            f"service '{service}' of bed '{bed.name}' has no log: looked for {file}; is it part of the bed?"
        )
    position = _print_tail(file, lines)
    if follow:
        _print_growth(file, position)


def _print_tail(file: Path, lines: int) -> int:
    from collections import deque

    with file.open("rb") as source:
        text = deque(source, maxlen=lines) if lines > 0 else source
        for line in text:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return source.tell()


def _print_growth(file: Path, position: int) -> None:
    """Print what is added, also after the keeper has begun the file anew; until interrupted."""
    import time

    while True:
        if file.is_file():
            position = position if file.stat().st_size >= position else 0
            with file.open("rb") as source:
                source.seek(position)
                added = source.read()
                position = source.tell()
            if added:
                sys.stdout.buffer.write(added)
                sys.stdout.buffer.flush()
        time.sleep(POLL)
