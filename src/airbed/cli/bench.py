"""`airbed bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import JsonOption, emit_json, output, progress_lines

if TYPE_CHECKING:
    from airbed.bench.measure import Report


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(bench)


def bench(
    name: Annotated[str, typer.Option("--name", "-n", help="The bed that is made for it.")] = "bench",
    kubernetes: Annotated[bool, typer.Option("--kubernetes/--no-kubernetes", help="Measure Kubernetes too.")] = True,
    json: JsonOption = False,
) -> None:
    """Measure a bed on this machine: start, status, memory, 100 mapped instances, the fault plane without a fault.

    It makes a bed of its own and takes it down. Figures of a busy machine mean little: the report says its load.

    [bold]Example[/bold]

      airbed bench --json > bench.json
    """
    from airbed.bench.measure import measure
    from airbed.kubernetes import build
    from airbed.settings import load_settings

    settings = load_settings()
    built = build.tools(settings) is not None
    report = measure(settings, name, kubernetes and built, progress_lines())
    if json:
        emit_json(report.to_json())
    else:
        _print(report, kubernetes and not built)


def _print(report: Report, missing: bool) -> None:
    from rich.table import Table

    table = Table("what", pad_edge=False, box=None, header_style="bold")
    table.add_column("measured", justify="right")
    table.add_column("goal on 2 idle cores", justify="right")
    table.add_row("warm up, all healthy", f"{report.up_seconds:.1f} s", "12 s")
    for service, seconds in sorted(report.up_services.items(), key=lambda item: item[1]):
        table.add_row(f"  {service}", f"{seconds:.1f} s", "")
    table.add_row("  CPU time of all parts", f"{report.up_cpu_seconds:.1f} s", "")
    table.add_row("status", f"{report.status_seconds:.2f} s", "0.3 s")
    if report.mapped:
        each = report.mapped
        table.add_row(f"{each.instances} mapped no-ops", f"{each.rate:.1f} /s", "9 /s")
        table.add_row("  CPU time of each", f"{each.cpu_seconds_each:.2f} s", "")
        table.add_row("  the whole run", f"{each.run_seconds:.1f} s", "")
    if report.plane:
        for way in report.plane.s3:
            table.add_row(f"S3, {way.name}: 200 MB read", f"{way.get_mb:.0f} MB/s", "200 MB/s")
            table.add_row("  200 MB written", f"{way.put_mb:.0f} MB/s", "")
            table.add_row("  a small request", f"{way.small_ms:.1f} ms", f"{report.plane.s3[0].small_ms + 3:.1f} ms")
        task = report.plane
        table.add_row("task's question to the director", f"{task.task_ms:.1f} ms", "3 ms")
        table.add_row("  of 10 the slowest", f"{task.task_p90_ms:.1f} ms", "")
    table.add_row("memory when idle (PSS)", f"{sum(report.memory.values()):.0f} MB", "1200 MB")
    for service, megabytes in report.memory.items():
        table.add_row(f"  {service}", f"{megabytes:.0f} MB", "")
    if report.kubernetes_seconds is not None:
        table.add_row("warm up with Kubernetes", f"{report.kubernetes_seconds:.1f} s", "")
        table.add_row("memory with Kubernetes, idle", f"{sum(report.kubernetes_memory.values()):.0f} MB", "1800 MB")
    output.print(table)
    output.print(f"{report.cpus} cores, load {report.load:.1f} before the start")
    if missing:
        output.print("Kubernetes is not built and was left out; build it with: make kubernetes")
