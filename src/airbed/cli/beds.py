"""`airbed stop`, `reset`, `down`, `ls`."""

from __future__ import annotations

from typing import Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, bed_name, console, emit_json, open_bed, output, progress_lines


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(stop)
    app.command()(reset)
    app.command()(down)
    app.command("ls")(list_beds)


def stop(
    service: Annotated[
        str | None, typer.Argument(help="One service, such as shard-1; without it the whole bed.", show_default=False)
    ] = None,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """End all processes of a bed and keep its data, or stop one service until airbed start SERVICE.

    [bold]Examples[/bold]

      airbed stop --name mine

      airbed stop shard-1
    """
    from airbed.lifecycle import stop as end

    bed = open_bed(name)
    if service is not None:
        from airbed.cli.service import stop_service

        stop_service(bed, service, json)
        return
    ended = end(bed, progress_lines())
    if json:
        emit_json({"bed": bed.name, "processes": ended})
    else:
        output.print(f"bed '{bed.name}' is stopped: {ended} processes ended, data kept in {bed.folder}", markup=False)


def reset(name: NameOption = None, json: JsonOption = False) -> None:
    """Put faults back; clear runs, warehouse, buckets, regions and task rules; the services stay up.

    [bold]Example[/bold]

      airbed reset
    """
    from airbed.reset import reset as clear

    bed = open_bed(name)
    cleared = clear(bed)
    if json:
        emit_json({"bed": bed.name, **cleared})
    else:
        output.print(f"bed '{bed.name}' is clear: " + ", ".join(f"{count} {what}" for what, count in cleared.items()))


def down(
    name: NameOption = None,
    every: Annotated[bool, typer.Option("--all", help="All beds of this user.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete a bed: its processes, its data, its folder; then look again that nothing is left.

    [bold]Examples[/bold]

      airbed down
      airbed down --all
    """
    from airbed.errors import AirbedError, Unavailable, UsageError
    from airbed.removal import Gone, every_name
    from airbed.removal import down as take_down
    from airbed.settings import load_settings

    if every and name:
        raise UsageError("--all and --name exclude each other")
    settings = load_settings()
    names = every_name(settings) if every else [bed_name(name)]
    gone: list[Gone] = []
    kept: list[str] = []
    for each_name in names:
        try:
            gone.append(take_down(settings, each_name, progress_lines()))
        except AirbedError as error:
            # What is in the way of one bed is in the way of no other.
            if not every:
                raise
            kept.append(str(error))
    if json:
        emit_json([vars(each) for each in gone])
    for each in () if json else gone:
        output.print(
            f"bed '{each.name}' is gone ({each.seconds:.1f} s): {each.processes} processes ended and none left,"
            f" {each.ports} ports free, {each.folder} deleted",
            soft_wrap=True,
            markup=False,
        )
    if kept:
        raise Unavailable("; ".join(kept))
    if not gone and not json:
        console.print("there is no bed")


def list_beds(json: JsonOption = False) -> None:
    """All beds of this user.

    [bold]Example[/bold]

      airbed ls --json
    """
    from airbed.lifecycle import beds
    from airbed.settings import load_settings

    rows = [
        {
            "name": spec.name,
            "on": spec.substrate,
            "state": spec.state,
            "created": spec.created,
            "dags": spec.dags or spec.project or "patterns",
        }
        for spec in beds(load_settings())
    ]
    if json:
        emit_json(rows)
        return
    for row in rows:
        output.print(
            f"{row['name']:<20} {row['on']:<9} {row['state']:<9} {row['created']}  {row['dags']}",
            soft_wrap=True,
            markup=False,
        )
    if not rows:
        console.print("there is no bed; start one with: airbed up")
