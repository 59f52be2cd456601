"""`airbed status`, `env`, `psql`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airbed.cli.common import JsonOption, NameOption, console, emit_json, open_bed, output

if TYPE_CHECKING:
    from airbed.bed import Bed


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(status)
    app.command()(env)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(psql)


def status(name: NameOption = None, json: JsonOption = False) -> None:
    """Every service of a bed: state, crashes, address; and DAG files that do not load.

    Ends with 3 when a service does not run.

    [bold]Example[/bold]

      airbed status --json
    """
    bed = open_bed(name)
    services = bed.substrate.status()
    running = all(each.state == "running" for each in services)
    broken = _import_errors(bed) if running else []
    if json:
        emit_json(
            {
                "bed": bed.name,
                "up": running,
                "time_scale": bed.spec.time_scale,
                "airflow": bed.endpoints.airflow.url,
                "services": [vars(each) for each in services],
                "import_errors": broken,
            }
        )
    else:
        _print_status(bed, services, broken)
    raise typer.Exit(0 if running else 3)


def _print_status(bed: Bed, services: list[Any], broken: list[dict[str, str]]) -> None:
    from rich.table import Table

    colours = {"running": "green", "starting": "yellow", "paused": "yellow"}
    table = Table(box=None, pad_edge=False)
    for column in ("service", "state", "pid", "up s", "crashes", "address"):
        table.add_column(column, justify="right" if column in ("pid", "up s", "crashes") else "left")
    for each in services:
        colour = colours.get(each.state, "red")
        crashes = f"[red]{each.crashes}[/red]" if each.crashes else "0"
        table.add_row(
            each.name,
            f"[{colour}]{each.state}[/{colour}]",
            str(each.pid or ""),
            f"{each.seconds:.0f}",
            crashes,
            each.address,
        )
    output.print(
        f"bed '{bed.name}'   Airflow {bed.endpoints.airflow.url}   retry delays divided by {bed.spec.time_scale:g}"
    )
    output.print(table)
    if any(each.state == "unkept" for each in services):
        output.print(f"[red]the process keeper is gone;[/red] bring it back with: airbed up --name {bed.name}")
    for error in broken:
        output.print(f"[red]does not load:[/red] {error['file']}: {error['error']}", soft_wrap=True)


def _import_errors(bed: Bed) -> list[dict[str, str]]:
    """DAG files that do not load, each with the last line of its traceback.

    Asked with the standard library: importing a database driver or httpx would double the time of `status`.
    """
    import json
    import urllib.request

    at = bed.endpoints.airflow

    def call(path: str, body: object = None, token: str = "") -> Any:
        request = urllib.request.Request(f"{at.url}{path}", headers={"Content-Type": "application/json"})
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            return json.load(answer)

    try:
        token = call("/auth/token", {"username": at.user, "password": at.password})["access_token"]
        errors = call("/api/v2/importErrors?limit=100", token=token)["import_errors"]
    except (OSError, ValueError, KeyError) as error:
        return [
            {"file": "(unknown)", "error": f"the API server was asked for import errors and did not answer: {error}"}
        ]
    return [{"file": each["filename"], "error": each["stack_trace"].strip().splitlines()[-1]} for each in errors]


def env(name: NameOption = None, json: JsonOption = False) -> None:
    """Addresses and credentials as shell exports.

    [bold]Example[/bold]

      eval "$(airbed env)" && aws s3 ls
    """
    variables = variables_of(open_bed(name))
    if json:
        emit_json(variables)
        return
    for key, value in variables.items():
        typer.echo(f"export {key}={shlex.quote(value)}")


def variables_of(bed: Bed) -> dict[str, str]:
    """What `airbed env` exports."""
    at = bed.endpoints
    variables = {
        "AIRBED_BED": bed.name,
        "AIRFLOW_API": f"{at.airflow.url}/api/v2",
        "AIRFLOW_USER": at.airflow.user,
        "AIRFLOW_PASSWORD": at.airflow.password,
        "AIRBED_DIRECTOR": at.director.url,
        "AIRBED_DIRECTOR_TOKEN": at.director.token,
        "AWS_ENDPOINT_URL_S3": at.s3.direct,
        "AWS_ACCESS_KEY_ID": at.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": at.s3.secret_key,
        "AWS_DEFAULT_REGION": at.s3.region,
        **{f"{service.upper().replace('-', '_')}_URL": each.url(admin=True) for service, each in at.databases.items()},
    }
    if bed.spec.kubernetes:
        variables["KUBECONFIG"] = str(at.kubernetes.kubeconfig)
    return variables


def psql(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="metadata, shard-0, shard-1, shard-2 or warehouse.")],
    name: NameOption = None,
) -> None:
    """Open psql on a database as superuser; further arguments go to psql.

    [bold]Examples[/bold]

      airbed psql warehouse
      airbed psql shard-0 -c 'SELECT count(*) FROM users_0_to_1M.users'
    """
    from airbed.errors import UsageError
    from airbed.substrates.embedded import postgres

    bed = open_bed(name)
    endpoint = bed.endpoints.databases.get(service)
    if endpoint is None:
        raise UsageError(f"there is no database '{service}'; there are: {', '.join(bed.endpoints.databases)}")
    program = str(postgres.binaries(bed.settings) / "psql")
    variables = {
        **os.environ,
        "PGHOST": endpoint.direct.host,
        "PGPORT": str(endpoint.direct.port),
        "PGUSER": endpoint.admin_user,
        "PGPASSWORD": endpoint.admin_password,
        "PGDATABASE": endpoint.database,
    }
    console.file.flush()
    os.execve(program, [program, *context.args], variables)
