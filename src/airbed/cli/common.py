"""What all commands share: the bed they work on, where they print, how they end."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from airbed.bed import Bed

console = Console(stderr=True, highlight=False)
# A file or a pipe has no width of its own: tables there are as wide as they need.
output = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

NameOption = Annotated[
    str | None, typer.Option("--name", "-n", help="The bed (default: AIRBED_BED, else 'bed').", show_default=False)
]
OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="embedded|compose",
        help="How the bed's services exist: as processes, or as containers (default: AIRBED_ON, else embedded).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]


def bed_name(name: str | None) -> str:
    """The bed that a command is about."""
    from airbed.spec import DEFAULT_NAME, ensure_name_is_valid

    return ensure_name_is_valid(name or os.environ.get("AIRBED_BED") or DEFAULT_NAME)


def open_bed(name: str | None) -> Bed:
    """The bed that a command is about; Unavailable when it was never brought up."""
    from airbed.bed import Bed

    return Bed.open(bed_name(name))


def emit_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def progress_lines(*, markup: bool = False) -> Callable[[str], None]:
    """A progress callback: one plain line each on standard error, with the seconds since the start.

    `markup`: the lines are rich's markup, and not to be printed as they are.
    """
    start = time.monotonic()

    def say(line: str) -> None:
        text = line if markup else escape(line)
        console.print(f"[dim]{time.monotonic() - start:6.1f} s[/dim]  {text}", soft_wrap=True)

    return say
