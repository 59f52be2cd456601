"""`airbed kill`, `pause`, `unpause`, `restart`, and `stop SERVICE`, `start SERVICE`: one part of a bed, by hand.

What lasts is a fault in the bed's ledger, so that `airbed status` shows it and `airbed fault clear` puts it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, emit_json, open_bed, output

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.ledger import Entry

ServiceArgument = Annotated[str, typer.Argument(help="A service, such as shard-1 or scheduler; see airbed status.")]
LASTING = {"process.stop": "stopped", "process.pause": "paused"}


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (kill, pause, unpause, restart):
        app.command()(command)


def kill(service: ServiceArgument, name: NameOption = None, json: JsonOption = False) -> None:
    """SIGKILL a service and all its children; the bed's keeper starts it again.

    [bold]Example[/bold]

      airbed kill scheduler
    """
    bed = open_bed(name)
    inject(bed, "process.kill", service)
    _report(bed, service, "killed; the bed's keeper starts it again", None, json)


def pause(service: ServiceArgument, name: NameOption = None, json: JsonOption = False) -> None:
    """Freeze a service and all its children: it keeps its connections and answers nobody.

    It stays so until airbed unpause SERVICE, or airbed fault clear.

    [bold]Example[/bold]

      airbed pause warehouse
    """
    _break(open_bed(name), "process.pause", service, json)


def unpause(service: ServiceArgument, name: NameOption = None, json: JsonOption = False) -> None:
    """Let a frozen service go on.

    [bold]Example[/bold]

      airbed unpause warehouse
    """
    bed = open_bed(name)
    if not _put_back(bed, "process.pause", service):
        bed.substrate.unpause(service)
    _report(bed, service, "goes on", None, json)


def restart(service: ServiceArgument, name: NameOption = None, json: JsonOption = False) -> None:
    """Stop a service, start it, and wait until it does its work.

    [bold]Example[/bold]

      airbed restart dag-processor
    """
    bed = open_bed(name)
    for kind in LASTING:
        _put_back(bed, kind, service)
    inject(bed, "process.restart", service)
    _report(bed, service, "restarted", None, json)


def stop_service(bed: Bed, service: str, json: bool) -> None:
    """Stop one service until `airbed start SERVICE`: tasks meet a refused connection."""
    _break(bed, "process.stop", service, json)


def start_service(bed: Bed, service: str, json: bool) -> None:
    """Start one service that was stopped, and wait until it does its work."""
    if not _put_back(bed, "process.stop", service):
        bed.substrate.start(service)
    _report(bed, service, "running", None, json)


def inject(bed: Bed, kind: str, service: str) -> Entry:
    """Inject a fault of a process kind by hand."""
    from airbed.faults.plane import FaultPlane
    from airbed.faults.registry import make

    return FaultPlane(bed).inject(make(kind, {"service": service}))


def _break(bed: Bed, kind: str, service: str, json: bool) -> None:
    """Inject a lasting fault, once."""
    entry = next(iter(_entries(bed, kind, service)), None) or inject(bed, kind, service)
    _report(bed, service, LASTING[kind], entry, json)


def _entries(bed: Bed, kind: str, service: str) -> list[Entry]:
    from airbed.faults.ledger import Ledger

    return [
        each for each in Ledger(bed.folder).entries() if each.kind == kind and each.parameters.get("service") == service
    ]


def _put_back(bed: Bed, kind: str, service: str) -> bool:
    """Undo the faults of that kind on a service, whoever injected them; returns whether there were any."""
    entries = _entries(bed, kind, service)
    if entries:
        from airbed.faults.plane import FaultPlane

        FaultPlane(bed).clear(only=[each.id for each in entries])
    return bool(entries)


def _report(bed: Bed, service: str, what: str, entry: Entry | None, json: bool) -> None:
    if json:
        emit_json({"bed": bed.name, "service": service, "did": what, "fault": entry.id if entry else None})
        return
    option = "" if bed.name == "bed" else f" --name {bed.name}"
    back = f" ({entry.id}); put it back with: airbed fault clear {entry.id}{option}" if entry else ""
    output.print(f"{service}: {what}{back}", soft_wrap=True)
