"""`airbed xcom`."""

from __future__ import annotations

from typing import Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, emit_json, open_bed, output

app = typer.Typer(help="XCom objects in the bucket.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="xcom")


@app.callback()
def xcom() -> None:
    """XCom objects in the bucket."""


@app.command()
def sweep(
    run: Annotated[str | None, typer.Option(help="Only the objects of this run id.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Delete what was found; without it nothing changes.")] = False,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Find XCom objects that no XCom row points at; --apply deletes them.

    Objects of runs that have not ended are never touched.

    [bold]Examples[/bold]

      airbed xcom sweep

      airbed xcom sweep --run manual__2026-01-05T00:00:00+00:00 --apply
    """
    from airbed.runs.orphans import sweep as find

    found = find(open_bed(name), run, apply=apply)
    if json:
        emit_json(found.to_json())
        return
    for each in found.orphans:
        output.print(f"{each.size:>12,}  {each.key}", soft_wrap=True, markup=False)
    output.print(
        f"{len(found.orphans)} orphaned objects, {found.size:,} bytes, in bucket {found.bucket}; {found.kept} in use, "
        f"{found.young} of runs that have not ended",
        soft_wrap=True,
    )
    if apply:
        output.print(f"deleted {found.deleted}")
    elif found.orphans:
        output.print("nothing was deleted: add --apply to delete them")
