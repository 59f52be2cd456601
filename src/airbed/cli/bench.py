"""`airbed bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airbed.cli.common import JsonOption, OnOption, console, emit_json, output, progress_lines

if TYPE_CHECKING:
    from airbed.bench.choice import Choice
    from airbed.bench.results import Results
    from airbed.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(bench)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Parts: up, memory, cli, fanout, xcom, shards, s3-proxy, task-rule, kubernetes"
            " (default: all but xcom and shards, and fanout with 100).",
            show_default=False,
        ),
    ] = None,
    *,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER",
            help="A peer, may be repeated: standalone, dag-test, production-like, without-LEVER (docs/performance.md).",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often the bed and the peers take turns.")] = 1,
    sizes: Annotated[
        str | None,
        typer.Option(help="Of fanout: numbers of no-ops, and cpu for 100 x 100 ms (default: 10,cpu,100,500,1000)."),
    ] = None,
    limit: Annotated[float, typer.Option(min=1, help="The most seconds that a peer gets for one run.")] = 180,
    out: Annotated[Path, typer.Option(help="Folder for the results file and the plots.")] = Path("reports"),
    compare: Annotated[
        Path | None, typer.Option(help="An earlier results file: print then, now and the ratio.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", help="The bed that is made for it.")] = "bench",
    on: OnOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what a bed costs on this machine, against other ways to run the same.

    It makes beds of its own and takes them down; without names it takes some three minutes. Figures of a busy machine
    mean little, ratios more: the report says the load. Ends with 0 when all is measured, 2 for wrong input (nothing is
    started), 3 when something was not available.

    [bold]Examples[/bold]

      airbed bench fanout up --against standalone --against dag-test --rounds 3

      airbed bench up fanout --sizes 100 --against production-like --against without-wake --rounds 3

      airbed bench fanout --sizes 10,100 --compare reports/bench-20261123T150000Z.json
    """
    from dataclasses import replace

    from airbed.bench import results as files
    from airbed.bench.choice import choose
    from airbed.bench.session import measure
    from airbed.errors import UsageError
    from airbed.settings import load_settings
    from airbed.spec import ensure_name_is_valid
    from airbed.substrates.registry import asked_for

    settings = load_settings()
    chosen = replace(choose(names or [], against or [], rounds, sizes, limit), substrate=asked_for(on))
    choice = _possible(chosen, settings, named=bool(names))
    earlier = files.read(compare) if compare else None
    ensure_name_is_valid(name)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out} is no folder that can be written to: {error.strerror}") from None
    found = measure(settings, name, choice, progress_lines())
    written = _write(found, out)
    document = found.to_json()
    if json:
        emit_json({**document, "files": [str(each) for each in written], **_compared(earlier, document)})
    else:
        _print(found)
        if earlier is not None:
            _print_changes(earlier, document)
        output.print("written: " + ", ".join(str(each) for each in written), soft_wrap=True, markup=False)
    if found.missing:
        raise typer.Exit(3)


def _possible(choice: Choice, settings: Settings, *, named: bool) -> Choice:
    """Without Kubernetes where it is not built; Unavailable when it was asked for by name."""
    from dataclasses import replace

    from airbed.errors import Unavailable
    from airbed.substrates.registry import EMBEDDED, beds_on

    if "kubernetes" not in choice.parts or beds_on(choice.substrate or EMBEDDED).has_kubernetes(settings):
        return choice
    said = "there is no Kubernetes here; airbed doctor says why, or build it with: make kubernetes"
    if named:
        raise Unavailable(said)
    console.print(f"{said}; it is left out")
    return replace(choice, parts=tuple(each for each in choice.parts if each != "kubernetes"))


def _write(found: Results, folder: Path) -> list[Path]:
    """The results file, and the plots that there is something for."""
    from airbed.bench.plots import fanout_plot, up_plot

    written = [found.write(folder)]
    plots = {"bench-fanout.svg": fanout_plot(found.figures), "bench-up.svg": up_plot(found.timeline)}
    for name, plot in plots.items():
        if plot is not None:
            (folder / name).write_text(plot)
            written.append(folder / name)
    return written


def _print(found: Results) -> None:
    from rich.markup import escape
    from rich.table import Table

    from airbed.bench.table import rows
    from airbed.bench.timeline import critical_path

    table = Table(pad_edge=False, box=None, header_style="bold")
    table.add_column("what", max_width=90)
    for heading in ("median", "range", "ours / peer's", "goal on 2 idle cores"):
        table.add_column(heading, justify="right")
    for row in rows(found.figures):
        table.add_row(escape(row.what), row.measured, row.spread, row.ratio, row.goal)
    output.print(table)
    if found.timeline:
        output.print(f"the start waited for: {' > '.join(critical_path(found.timeline))}")
    for stop in found.stops:
        output.print(f"{stop.subject} stopped at {stop.name}: {stop.reason}", soft_wrap=True, markup=False)
    for line in found.missing:
        output.print(f"not measured: {escape(line)}", soft_wrap=True)
    machine = found.machine
    output.print(
        f"{machine['cores']} cores ({machine['cpu']}), load {machine['load']} before and {machine['load_after']} after,"
        f" Python {machine['python']}, {found.choice.rounds} round(s)",
        soft_wrap=True,
    )


def _compared(earlier: dict[str, Any] | None, document: dict[str, Any]) -> dict[str, Any]:
    from airbed.bench.compare import changes, differences

    if earlier is None:
        return {}
    found = [{**vars(each), "ratio": each.ratio} for each in changes(earlier, document)]
    return {"compared_with": earlier["began"], "differences": differences(earlier, document), "changes": found}


def _print_changes(earlier: dict[str, Any], document: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from airbed.bench.compare import changes, differences
    from airbed.bench.table import change_rows

    table = Table("compared with", pad_edge=False, box=None, header_style="bold")
    for heading in (escape(str(earlier["began"])), "now", "now / then"):
        table.add_column(heading, justify="right")
    for row in change_rows(changes(earlier, document)):
        table.add_row(*row)
    output.print()
    output.print(table)
    for line in differences(earlier, document):
        output.print(f"not the same: {line}", soft_wrap=True, markup=False)
