"""The command line."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from airbed.cli import backfill, beds, bench, demo, doctor, info, logs, run, seed, up, xcom
from airbed.cli.common import console

app = typer.Typer(
    name="airbed",
    help="A local testbed for Airflow DAGs that use dynamic task mapping.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from airbed import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """A local testbed for Airflow DAGs that use dynamic task mapping."""


for module in (demo, up, beds, info, run, backfill, seed, logs, xcom, doctor, bench):
    module.register(app)


def main() -> None:
    """Run the command line; errors end as one line and an exit code, a traceback only with --debug."""
    from airbed.errors import AirbedError

    # What was begun is ended before airbed goes. SIGINT too: a shell without job control starts a command in the
    # background with it ignored, and Python leaves that so.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app()
    except AirbedError as error:
        if "--debug" in sys.argv:
            raise
        console.print(f"[red]error:[/red] {_one_line(error)}", soft_wrap=True, markup=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        what = _one_line(error) or "no message"
        console.print(
            f"[red]error:[/red] {type(error).__name__}: {what}; airbed did not expect it: try airbed --debug",
            soft_wrap=True,
        )
        sys.exit(3)
    except KeyboardInterrupt:
        console.print("interrupted")
        sys.exit(130)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _one_line(error: Exception) -> str:
    from rich.markup import escape

    return escape(" ".join(str(error).split()))
