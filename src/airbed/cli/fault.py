"""`airbed fault kinds`, `add`, `list`, `clear`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, console, emit_json, open_bed, output
from airbed.cli.fault_kinds import kind_as_json, print_kind, print_level
from airbed.cli.fault_table import as_rows, print_faults, prove_again

if TYPE_CHECKING:
    from airbed.faults.ledger import Entry

app = typer.Typer(help="Break a part of a bed by hand, see what is broken, put it back.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="fault")


@app.callback()
def fault() -> None:
    """Break a part of a bed by hand, see what is broken, put it back."""


@app.command()
def kinds(
    which: Annotated[
        str | None, typer.Argument(help="One kind, or a level: task, protocol, process, platform.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """What can be broken: every kind of fault with its parameters, their defaults and an example.

    [bold]Examples[/bold]

      airbed fault kinds

      airbed fault kinds protocol

      airbed fault kinds s3.error --json
    """
    from airbed.faults.registry import LEVELS, kind
    from airbed.faults.registry import kinds as every_kind

    levels = [each.__name__.rpartition(".")[2] for each in LEVELS]
    chosen = (
        [each for each in every_kind().values() if each.by_hand and which in (None, each.level)]
        if which is None or which in levels
        else [kind(which)]
    )
    if json:
        emit_json([kind_as_json(each) for each in chosen])
        return
    for level in levels:
        of_level = [each for each in chosen if each.level == level]
        if of_level:
            output.print(f"[bold]{level}[/bold]")
        print_level(of_level)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": True},
)
def add(
    context: typer.Context,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Break something: airbed fault add KIND --PARAMETER VALUE ...

    The parameters are those of the kind: see airbed fault kinds, or write -h behind the kind.
    The command returns when a real client would meet the fault, which stays until airbed fault clear.

    [bold]Examples[/bold]

      airbed fault add s3.error -h

      airbed fault add s3.error --key 'raw/2026/*' --status 503 --times 5

      airbed fault add process.stop --service shard-1 --name mine
    """
    arguments = list(context.args)
    wants_help = any(each in ("-h", "--help") for each in arguments)
    arguments = [each for each in arguments if each not in ("-h", "--help")]
    if wants_help and not arguments:
        typer.echo(context.get_help())
        return
    from airbed.errors import UsageError
    from airbed.faults.parameters import read_options
    from airbed.faults.registry import kind, make

    if not arguments or arguments[0].startswith("-"):
        raise UsageError("fault add of what? airbed fault add KIND --PARAMETER VALUE ...; see: airbed fault kinds")
    chosen = kind(arguments[0])
    if not chosen.by_hand:
        raise UsageError(f"{chosen.kind} exists only within a scenario; see: airbed fault kinds")
    if wants_help:
        print_kind(chosen)
        return
    fault = make(chosen.kind, read_options(chosen, arguments[1:]))
    from airbed.faults.plane import FaultPlane

    bed = open_bed(name)
    entry = FaultPlane(bed).inject(fault)
    if json:
        emit_json({"bed": bed.name, "momentary": chosen.momentary, **as_rows([entry])[0]})
    elif chosen.momentary:
        output.print(f"{entry.kind} {fault.describe()}: done, nothing to clear", soft_wrap=True, markup=False)
    else:
        output.print(f"{entry.id}  {entry.kind} {fault.describe()}", soft_wrap=True, markup=False)
        option = "" if bed.name == "bed" else f" --name {bed.name}"
        console.print(f"put it back with: airbed fault clear {entry.id}{option}", soft_wrap=True)


@app.command("list")
def list_faults(name: NameOption = None, json: JsonOption = False) -> None:
    """What is broken on purpose right now.

    [bold]Example[/bold]

      airbed fault list --json
    """
    from airbed.faults.ledger import Ledger

    bed = open_bed(name)
    entries = Ledger(bed.folder).entries()
    if json:
        emit_json(as_rows(entries))
    elif entries:
        print_faults(entries)
    else:
        console.print(f"nothing is injected into bed '{bed.name}'")


@app.command()
def clear(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Faults, as in airbed fault list.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also the faults of a scenario or a test that is running now.")
    ] = False,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Put back what was broken: these faults, or without any, all that were added by hand or left behind.

    Ends with 3 when one cannot be put back; it stays in the list and can be tried again.

    [bold]Examples[/bold]

      airbed fault clear f3

      airbed fault clear

      airbed fault clear --all
    """
    from airbed.errors import UsageError
    from airbed.faults.ledger import Ledger
    from airbed.faults.recovery import is_held

    if ids and every:
        raise UsageError("fault clear takes ids or --all, not both")
    bed = open_bed(name)
    entries = Ledger(bed.folder).entries()
    unknown = sorted(set(ids or []) - {each.id for each in entries})
    if unknown:
        known = ", ".join(each.id for each in entries) or "none"
        raise UsageError(f"bed '{bed.name}' has no fault {', '.join(unknown)}; it has: {known}")
    held = [] if ids or every else [each for each in entries if is_held(each)]
    wanted = [each.id for each in entries if each not in held and (not ids or each.id in ids)]
    undone = []
    if wanted:
        from airbed.faults.plane import FaultPlane

        undone = FaultPlane(bed).clear(only=wanted)
    if not ids:
        prove_again(bed)
    if json:
        emit_json([{"id": each.entry.id, "kind": each.entry.kind, "fired": each.fired} for each in undone])
        return
    for each in undone:
        hits = "" if each.fired is None else f"; it hit {each.fired} times"
        output.print(f"{each.entry.id}  {each.entry.kind} is put back{hits}", soft_wrap=True)
    if not undone:
        console.print(f"nothing to put back on bed '{bed.name}'")
    _say_what_is_held(held)


def _say_what_is_held(held: list[Entry]) -> None:
    for each in held:
        if each.state == "arming":
            what = f"is being brought into force by process {each.owner_pid}; put it back when that is done"
        else:
            what = f"belongs to {each.owner}, which is running (process {each.owner_pid}); --all takes it too"
        console.print(f"{each.id} {each.kind} {what}", soft_wrap=True)
