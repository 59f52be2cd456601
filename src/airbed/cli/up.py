"""`airbed up`, `airbed start`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airbed.cli.common import (
    JsonOption,
    NameOption,
    OnOption,
    bed_name,
    console,
    emit_json,
    open_bed,
    output,
    progress_lines,
)
from airbed.cli.fault_table import prove_again

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.lifecycle import Came


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command()(start)


def up(
    name: NameOption = None,
    on: OnOption = None,
    dags: Annotated[
        list[str] | None,
        typer.Option(
            "--dags", metavar="DIR", help="A folder of your DAGs; may be repeated. Default: the six patterns."
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="A folder with the Astro CLI's layout: dags/, plugins/, include/, requirements.txt, ...",
        ),
    ] = None,
    env_file: Annotated[
        str | None, typer.Option("--env-file", metavar="FILE", help="AIRFLOW_CONN_* and AIRFLOW_VAR_* for your DAGs.")
    ] = None,
    s3: Annotated[
        str | None,
        typer.Option(
            "--s3", metavar="seaweedfs|moto|minio", help="The S3 service (default: seaweedfs); minio: on compose."
        ),
    ] = None,
    with_part: Annotated[
        list[str] | None, typer.Option("--with", metavar="kubernetes", help="Start this part too.")
    ] = None,
    without_part: Annotated[
        list[str] | None, typer.Option("--without", metavar="kubernetes", help="Leave this part out.")
    ] = None,
    time_scale: Annotated[
        float | None,
        typer.Option(
            "--time-scale",
            metavar="X",
            help="Divide retry delays by X (default: 100 for the six patterns, 1 for your DAGs).",
        ),
    ] = None,
    schedules: Annotated[
        bool | None,
        typer.Option(
            "--schedules/--no-schedules", help="Let DAGs start runs by their schedule (default: only you start runs)."
        ),
    ] = None,
    production_like: Annotated[
        bool, typer.Option("--production-like", help="Without everything that makes a bed quicker than its parts.")
    ] = False,
    without_lever: Annotated[
        list[str] | None,
        typer.Option("--without-lever", metavar="NAME", help="Without one of these (docs/performance.md lists them)."),
    ] = None,
    allow_external: Annotated[
        list[str] | None,
        typer.Option("--allow-external", metavar="CONN_ID", help="Let this connection of your files lead off the bed."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Bring a bed up, or make sure that it is up.

    [bold]Examples[/bold]

      airbed up
      airbed up --name mine --dags ~/dags --env-file extra.env
      airbed up --project ~/astro-project --time-scale 60
      airbed up --on compose
      airbed up --name slow --production-like
    """
    from airbed import levers
    from airbed.errors import UsageError
    from airbed.lifecycle import up as bring_up
    from airbed.request import Request
    from airbed.settings import load_settings
    from airbed.substrates.registry import asked_for

    for part in [*(with_part or []), *(without_part or [])]:
        if part != "kubernetes":
            raise UsageError(f"'{part}' is not an optional part; the only one is: kubernetes")
    if with_part and without_part:
        raise UsageError("--with kubernetes and --without kubernetes exclude each other")
    if s3 not in (None, "seaweedfs", "moto", "minio"):
        raise UsageError(f"--s3 {s3} is unknown; choose seaweedfs, moto, or (on compose) minio")
    request = Request(
        name=bed_name(name),
        dags=dags,
        project=project,
        env_file=env_file,
        s3=s3,
        kubernetes=True if with_part else False if without_part else None,
        time_scale=time_scale,
        schedules=schedules,
        levers_off=levers.chosen(without_lever or [], production_like=production_like),
        allow_external=allow_external,
        substrate=asked_for(on),
    )
    bed, came = bring_up(load_settings(), request, progress_lines())
    prove_again(bed)
    report(bed, came, json)


def start(
    service: Annotated[
        str | None, typer.Argument(help="One stopped service; without it the whole bed.", show_default=False)
    ] = None,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Start a stopped bed again with its data, or one service that was stopped.

    [bold]Examples[/bold]

      airbed start --name mine

      airbed start shard-1
    """
    if service is not None:
        from airbed.cli.service import start_service

        start_service(open_bed(name), service, json)
        return
    from airbed.lifecycle import start as start_again
    from airbed.settings import load_settings

    bed, came = start_again(load_settings(), bed_name(name), progress_lines())
    report(bed, came, json)


def report(bed: Bed, came: Came, json: bool) -> None:
    """Say what is up, where, and how to log in."""
    login = bed.endpoints.airflow
    if json:
        emit_json(
            {
                "bed": bed.name,
                "substrate": bed.spec.substrate,
                "outcome": came.outcome,
                "seconds": round(came.seconds, 2),
                "services": {name: round(seconds, 2) for name, seconds in came.services.items()},
                "airflow": {"url": login.url, "user": login.user, "password": login.password},
                "time_scale": bed.spec.time_scale,
                "kubernetes": bed.spec.kubernetes,
                "levers_off": bed.spec.levers_off,
            }
        )
        return
    word = {
        "created": "is up",
        "started": "is up again",
        "unchanged": "was up already",
        "mended": "is whole again",
        "extended": "has Kubernetes now",
        "restored": "is up with what was saved",
    }
    console.print(f"[green]bed '{bed.name}' {word[came.outcome]}[/green] ({came.seconds:.1f} s)")
    output.print(f"Airflow    {login.url}   user {login.user}   password {login.password}", soft_wrap=True)
    output.print(f"time       retry delays divided by {bed.spec.time_scale:g}")
    if bed.spec.levers_off:
        output.print(f"without    {', '.join(bed.spec.levers_off)}", soft_wrap=True)
    output.print(
        f"next       airbed status{_option(bed)} · airbed run DAG_ID{_option(bed)} · airbed down{_option(bed)}",
        soft_wrap=True,
    )


def _option(bed: Bed) -> str:
    return "" if bed.name == "bed" else f" --name {bed.name}"
