"""`airbed incident`: list, show and run scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import JsonOption, NameOption, console, emit_json, open_bed, output, progress_lines

if TYPE_CHECKING:
    from airbed.incidents.verdict import Verdict

FolderOption = Annotated[
    Path | None, typer.Option("--in", help="Folder of the scenario files (default: airbed's own).", show_default=False)
]
STYLES = {"as expected": "green", "different": "red", "inconclusive": "yellow"}

app = typer.Typer(
    name="incident",
    help="Reproduce production incidents: break parts of the bed at exact moments of a run, and judge what comes out.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(root: typer.Typer) -> None:
    """Add the commands of this file."""
    root.add_typer(app)


@app.command("list")
def list_incidents(folder: FolderOption = None, json: JsonOption = False) -> None:
    """Every incident with its cases and what is seen of it.

    [bold]Examples[/bold]

      airbed incident list

      airbed incident list --in tests/incidents --json
    """
    from airbed.incidents.library import files_in, own_folder

    scenarios = [_load(file) for file in files_in(folder or own_folder()).values()]
    if json:
        emit_json([{"name": each.name, "symptom": each.symptom, "cases": list(each.cases)} for each in scenarios])
        return
    width = max(len(each.name) for each in scenarios)
    for each in scenarios:
        output.print(f"[bold]{each.name:<{width}}[/bold]  {_escaped(', '.join(each.cases))}", soft_wrap=True)
        output.print(f"{'':<{width}}  [dim]{_escaped(' '.join(each.symptom.split()))}[/dim]", soft_wrap=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An incident's name, or a path to a scenario file.")],
    folder: FolderOption = None,
    json: JsonOption = False,
) -> None:
    """One incident: symptom, cause, fix, and for each case its runs and faults.

    [bold]Examples[/bold]

      airbed incident show shard-dies-while-two-read

      airbed incident show tests/incidents/ours.yaml
    """
    from airbed.incidents.library import find

    file = find(name, folder)
    scenario = _load(file)
    if json:
        emit_json({"file": str(file), **scenario.model_dump(mode="json", by_alias=True, exclude_unset=True)})
        return
    output.print(f"[bold]{scenario.name}[/bold]  {_escaped(str(file))}", soft_wrap=True)
    for what in ("symptom", "cause", "fix"):
        if text := " ".join(getattr(scenario, what).split()):
            output.print(f"[bold]{what:<8}[/bold] {_escaped(text)}", soft_wrap=True)
    if scenario.sources:
        output.print(f"[bold]sources [/bold] {_escaped(', '.join(scenario.sources))}", soft_wrap=True)
    for case_name, case in scenario.cases.items():
        output.print(f"\n[bold]{case_name}[/bold]")
        for run in case.all_runs:
            said = run.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"id"})
            output.print(f"  run {run.id}: {_flat(said)}", soft_wrap=True, markup=False)
        for step in case.faults:
            said = step.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"id", "fault"})
            output.print(f"  fault {step.name} ({step.fault}): {_flat(said)}", soft_wrap=True, markup=False)
        output.print(f"  expect: {_flat(case.expect.model_dump(mode='json', by_alias=True, exclude_unset=True))}",
                     soft_wrap=True, markup=False)  # fmt: skip


@app.command()
def schema() -> None:
    """Print the JSON schema of scenario files, for an editor's completion and checks.

    [bold]Example[/bold]

      airbed incident schema > scenario.schema.json
    """
    from airbed.incidents.json_schema import json_schema

    emit_json(json_schema())


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="Incidents by name, or paths to scenario files.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every incident of the folder.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Play each so often; its control run comes once.")] = 1,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on after a verdict that is not as expected.")
    ] = False,
    case: Annotated[list[str] | None, typer.Option(help="Only this case; may be given several times.")] = None,
    without_fault: Annotated[
        str | None, typer.Option(help="Leave a fault out: the verdict must turn different.", metavar="ID")
    ] = None,
    control: Annotated[bool, typer.Option(help="Play each case without its faults too.")] = True,
    folder: FolderOption = None,
    out: Annotated[Path, typer.Option(help="Where journals, outcomes and logs go.")] = Path("reports/incidents"),
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Play incidents on a bed and give a verdict on each case.

    The bed is cleared before each play: its runs, rows and objects go. Ends with 0 when everything is as expected, 1
    when something is different, 2 for wrong input, 3 when the bed is not available or nothing could be judged.

    [bold]Examples[/bold]

      airbed incident run --all --keep-going

      airbed incident run shard-dies-while-two-read --case correct --repeat 20

      airbed incident run tests/incidents/ours.yaml --name demo
    """
    from airbed.errors import UsageError
    from airbed.incidents.library import files_in, find, own_folder
    from airbed.incidents.session import Session

    if every == bool(names):
        raise UsageError("name the incidents to run, or give --all; see: airbed incident list")
    files = list(files_in(folder or own_folder()).values()) if every else [find(each, folder) for each in names or []]
    session = Session([(_load(file), file) for file in files], cases=case, without=without_fault, control=control)
    bed = open_bed(name)
    say = progress_lines()
    verdicts: list[Verdict] = []
    for verdict in session.play(bed, out, repeat=repeat, keep_going=keep_going, say=say):
        verdicts.append(verdict)
        _print(verdict)
    if json:
        emit_json([each.to_json() for each in verdicts])
    raise typer.Exit(worst(verdicts))


def worst(verdicts: list[Verdict]) -> int:
    """The exit code of several verdicts: different counts more than inconclusive."""
    codes = {each.exit_code for each in verdicts}
    return 1 if 1 in codes else max(codes, default=0)


def _load(file: Path):  # type: ignore[no-untyped-def]
    """The scenario of a file; every mistake in it is printed, a line each, before the end with 2."""
    from airbed.incidents.load import BrokenScenario, load

    try:
        return load(file)
    except BrokenScenario as error:
        for problem in error.problems[1:]:
            console.print(f"[red]error:[/red] {_escaped(problem)}", soft_wrap=True)
        raise


def _print(verdict: Verdict) -> None:
    first, *rest = verdict.lines()
    style = STYLES[verdict.word]
    console.print(f"[{style}]{_escaped(first)}[/{style}]", soft_wrap=True)
    for line in rest:
        console.print(_escaped(line), soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _flat(value: object) -> str:
    import json

    return json.dumps(value, default=str)
