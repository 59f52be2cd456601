"""The command line.

A command's module is imported when the command is used, and nothing here imports what only some commands need: the
short commands have to answer at once.
"""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from airbed.cli.common import console

# Every command and the module of this package whose `register` adds it, in the order of the help.
COMMANDS = {
    "demo": "demo",
    "up": "up",
    "start": "up",
    "stop": "beds",
    "reset": "beds",
    "down": "beds",
    "ls": "beds",
    "snapshot": "snapshot",
    "status": "info",
    "env": "info",
    "psql": "info",
    "kill": "service",
    "pause": "service",
    "unpause": "service",
    "restart": "service",
    "run": "run",
    "backfill": "backfill",
    "seed": "seed",
    "logs": "logs",
    "fault": "fault",
    "incident": "incident",
    "xcom": "xcom",
    "doctor": "doctor",
    "cache": "doctor",
    "bench": "bench",
}
# Those that may be called with no more than --name and --json are called without Typer's conversion of options, whose
# pydantic takes longer than the commands do. Name to function.
QUICK = {"status": "status", "ls": "list_beds"}


class LazyGroup(TyperGroup):
    """The commands of COMMANDS, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            part = typer.Typer(
                rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}, add_completion=False
            )
            # A Typer with one command would be that command instead of a group.
            part.callback()(lambda: None)
            importlib.import_module(f"airbed.cli.{COMMANDS[cmd_name]}").register(part)
            self.commands.update(typer.main.get_group(part).commands)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands with the whole first line of each, wrapped."""
        rows = [(name, self.get_command(ctx, name).get_short_help_str(limit=300)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As Typer does; for an unknown name all commands are loaded, so that the nearest one is offered."""
        if args and args[0] not in COMMANDS:
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="airbed",
    cls=LazyGroup,
    help="A local testbed for Airflow DAGs that use dynamic task mapping.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain text for the list of commands: what would colour it takes longer to import than all else.
    rich_markup_mode=None,
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


def _quickly(arguments: list[str]) -> bool:
    """Call a command of QUICK when that is all that the arguments ask for; False when they ask for more."""
    if not arguments or arguments[0] not in QUICK:
        return False
    given: dict[str, Any] = {}
    rest = iter(arguments[1:])
    for each in rest:
        if each == "--json":
            given["json"] = True
        elif each in ("--name", "-n") and (name := next(rest, "")):
            given["name"] = name
        elif each.startswith("--name=") and len(each) > len("--name="):
            given["name"] = each.removeprefix("--name=")
        else:
            return False
    function = getattr(importlib.import_module(f"airbed.cli.{COMMANDS[arguments[0]]}"), QUICK[arguments[0]])
    if not set(given) <= set(function.__annotations__):
        return False
    function(**given)
    return True


def main() -> None:
    """Run the command line; errors end as one line and an exit code, a traceback only with --debug."""
    from airbed.errors import AirbedError

    # What was begun is ended before airbed goes. SIGINT too: a shell without job control starts a command in the
    # background with it ignored, and Python leaves that so.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        if not _quickly(sys.argv[1:]):
            app()
    except typer.Exit as end:
        sys.exit(end.exit_code)
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
