"""`airbed doctor`, `airbed cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import JsonOption, console, emit_json, output

if TYPE_CHECKING:
    from airbed.doctor.finding import Finding

cache = typer.Typer(
    help="What all beds share on disk: database templates, Kubernetes tools, overlays.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(doctor)
    app.add_typer(cache, name="cache")


def doctor(json: JsonOption = False) -> None:
    """What this machine has, what it lacks for a bed, and what to do about it.

    Ends with 0 when a bed can run here, 3 when not.

    [bold]Examples[/bold]

      airbed doctor

      airbed doctor --json
    """
    from airbed.doctor import can_run, examine
    from airbed.settings import load_settings

    findings = examine(load_settings())
    able = can_run(findings)
    if json:
        emit_json({"ok": able, "findings": [vars(each) for each in findings]})
    else:
        _print(findings)
        console.print("[green]a bed can run here[/green]" if able else "[red]no bed can run here yet[/red]")
    raise typer.Exit(0 if able else 3)


def _print(findings: list[Finding]) -> None:
    from rich.markup import escape

    colours = {"ok": "green", "warn": "yellow", "missing": "red"}
    width = max(len(each.name) for each in findings)
    for each in findings:
        remedy = f" → {escape(each.remedy)}" if each.remedy else ""
        output.print(
            f"[{colours[each.state]}]{each.state:<7}[/]  {each.name:<{width}}  {escape(each.found)}{remedy}",
            soft_wrap=True,
        )


@cache.command("ls")
def list_cache(json: JsonOption = False) -> None:
    """Sizes by kind.

    [bold]Example[/bold]

      airbed cache ls
    """
    from airbed.cache import kinds
    from airbed.settings import load_settings

    settings = load_settings()
    found = kinds(settings)
    if json:
        emit_json({"folder": settings.cache, "kinds": [vars(each) for each in found]})
        return
    output.print(str(settings.cache), soft_wrap=True, markup=False)
    for each in found:
        output.print(f"{each.name:<11} {each.bytes / 1e6:>9.1f} MB  {each.entries:>3}  {each.what}", soft_wrap=True)


@cache.command("rm")
def remove_cache(
    kind: Annotated[
        str | None,
        typer.Argument(help="templates, kubernetes, toxiproxy, overlays, postgres, engine or images (default: all)."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Delete the cache, or one kind of it; refuses while a bed is up.

    [bold]Examples[/bold]

      airbed cache rm

      airbed cache rm overlays
    """
    from airbed.cache import remove
    from airbed.settings import load_settings

    settings = load_settings()
    gone = remove(settings, kind)
    if json:
        emit_json({"folder": settings.cache, "removed": [vars(each) for each in gone]})
    else:
        total = sum(each.bytes for each in gone)
        output.print(
            f"deleted {', '.join(each.name for each in gone)} of {settings.cache}: {total / 1e6:.1f} MB",
            soft_wrap=True,
            markup=False,
        )
