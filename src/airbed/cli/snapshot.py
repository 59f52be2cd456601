"""`airbed snapshot`: the whole state of a bed, kept and used again."""

from __future__ import annotations

from typing import Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, bed_name, console, emit_json, output, progress_lines

app = typer.Typer(help="The whole state of a bed, kept: save it, make beds of it.", no_args_is_help=True)

SnapshotArgument = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="The snapshot's name.", show_default=False)]


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="snapshot")


@app.callback()
def snapshot() -> None:
    """The whole state of a bed, kept: save it, make beds of it, list and delete what was saved."""


@app.command()
def save(
    snapshot: SnapshotArgument,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a snapshot of that name.")] = False,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Save a bed: databases, buckets, Kubernetes, Airflow with its runs and logs, options, passwords.

    The bed is halted for the copy and started again; faults are put back first, as by airbed stop.

    [bold]Examples[/bold]

      airbed snapshot save seeded

      airbed snapshot save before-the-incident --name mine --replace
    """
    from airbed.settings import load_settings
    from airbed.snapshots.save import save as save_bed

    saved = save_bed(load_settings(), bed_name(name), snapshot, progress_lines(), anew=replace)
    made = saved.snapshot
    if json:
        emit_json(
            {
                "snapshot": made.name,
                "bed": made.bed.name,
                "made": made.made,
                "bytes": made.bytes,
                "seconds": round(saved.seconds, 2),
                "copy_seconds": round(saved.copy_seconds, 2),
                "fingerprint": vars(made.fingerprint),
            }
        )
        return
    output.print(
        f"bed '{made.bed.name}' is saved as snapshot '{made.name}': {made.bytes / 1e6:.1f} MB"
        f" ({saved.seconds:.1f} s, {saved.copy_seconds:.1f} s of it copying)",
        soft_wrap=True,
    )
    console.print(f"next       airbed snapshot use {made.name} --name NEW · airbed snapshot ls", soft_wrap=True)


@app.command()
def use(
    snapshot: SnapshotArgument,
    replace: Annotated[bool, typer.Option("--replace", help="Take down a bed of that name first.")] = False,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Make a bed of a snapshot and bring it up, with ports of its own: several can be made, beside the saved one.

    [bold]Examples[/bold]

      airbed snapshot use seeded --name copy

      airbed snapshot use before-the-incident --name mine --replace
    """
    from airbed.cli.up import report
    from airbed.settings import load_settings
    from airbed.snapshots.use import use as make_bed

    bed, came = make_bed(load_settings(), snapshot, bed_name(name), progress_lines(), anew=replace)
    report(bed, came, json)


@app.command("ls")
def list_snapshots(json: JsonOption = False) -> None:
    """All snapshots of this user: when each was made, of which bed, its size, and why it is stale if it is.

    [bold]Example[/bold]

      airbed snapshot ls --json
    """
    from airbed.settings import load_settings
    from airbed.snapshots.state import rows

    found = rows(load_settings())
    if json:
        emit_json([vars(each) for each in found])
        return
    for each in found:
        output.print(
            f"{each.name:<20} {each.made:<25}  {each.bed:<12} {each.bytes / 1e6:>8.1f} MB  "
            f"{'usable' if each.usable else f'stale: {each.why}'}",
            soft_wrap=True,
            markup=False,
        )
    if not found:
        console.print("there is no snapshot; make one of a bed with: airbed snapshot save NAME")


@app.command("rm")
def remove_snapshots(
    snapshots: Annotated[list[str], typer.Argument(metavar="SNAPSHOT...", help="Their names.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Delete snapshots; beds that were made of them stay.

    [bold]Example[/bold]

      airbed snapshot rm seeded before-the-incident
    """
    from airbed.settings import load_settings
    from airbed.snapshots.removal import remove

    settings = load_settings()
    gone = remove(settings, snapshots, progress_lines())
    if json:
        emit_json([vars(each) for each in gone])
        return
    for each in gone:
        output.print(
            f"snapshot '{each.name}' is deleted: {each.bytes / 1e6:.1f} MB in {each.folder}",
            soft_wrap=True,
            markup=False,
        )
