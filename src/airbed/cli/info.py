"""`airbed status`, `env`, `psql`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airbed.cli.common import JsonOption, NameOption, console, emit_json, open_bed, output
from airbed.cli.fault_table import as_rows, print_faults
from airbed.faults.ledger import Ledger

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.ledger import Entry

# Seconds that `status` waits for the API server's list of import errors.
API_PATIENCE = 5


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(status)
    app.command()(env)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(psql)


def status(name: NameOption = None, json: JsonOption = False) -> None:
    """Every service of a bed: state, crashes, address; what is broken on purpose; and DAG files that do not load.

    Ends with 3 when a service does not run.

    [bold]Examples[/bold]

      airbed status

      airbed status --json
    """
    bed = open_bed(name)
    faults = Ledger(bed.folder).entries()
    broken_why = _not_proven(bed)
    services = bed.substrate.status()
    running = all(each.state == "running" for each in services)
    broken, unknown = _import_errors(bed) if running else ([], None)
    if json:
        emit_json(
            {
                "bed": bed.name,
                "substrate": bed.spec.substrate,
                "up": running,
                "time_scale": bed.spec.time_scale,
                "levers_off": bed.spec.levers_off,
                "airflow": bed.endpoints.airflow.url,
                "services": [vars(each) for each in services],
                "faults": as_rows(faults),
                "broken": broken_why,
                "import_errors": broken,
                "import_errors_unknown": unknown,
            }
        )
    else:
        _print_status(bed, services)
        _print_findings(broken, unknown, faults, broken_why)
    raise typer.Exit(0 if running else 3)


def _print_status(bed: Bed, services: list[Any]) -> None:
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
        f"bed '{bed.name}' on {bed.spec.substrate}   Airflow {bed.endpoints.airflow.url}"
        f"   retry delays divided by {bed.spec.time_scale:g}"
    )
    if bed.spec.levers_off:
        output.print(f"without {', '.join(bed.spec.levers_off)}", soft_wrap=True)
    output.print(table)
    if any(each.state == "unkept" for each in services):
        output.print(f"[red]the process keeper is gone;[/red] bring it back with: airbed up --name {bed.name}")


def _print_findings(
    broken: list[dict[str, str]], unknown: str | None, faults: list[Entry], broken_why: list[str]
) -> None:
    from rich.markup import escape

    for error in broken:
        output.print(f"[red]does not load:[/red] {escape(error['file'])}: {escape(error['error'])}", soft_wrap=True)
    if unknown:
        output.print(f"[yellow]DAG files:[/yellow] {escape(unknown)}", soft_wrap=True)
    if faults:
        output.print("[red]broken on purpose[/red] (airbed fault clear puts it back):", soft_wrap=True)
        print_faults(faults)
    for line in broken_why:
        output.print(f"[red]not proven whole again after a scenario:[/red] {escape(line)}", soft_wrap=True)


def _not_proven(bed: Bed) -> list[str]:
    """Why the last scenario could not prove the bed clean again; empty when it could."""
    try:
        return (bed.folder / "broken").read_text().splitlines()
    except FileNotFoundError:
        return []


def _import_errors(bed: Bed) -> tuple[list[dict[str, str]], str | None]:
    """DAG files that do not load, each with the last line of its traceback; and why that is not known, if it is not.

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
        with opener.open(request, timeout=API_PATIENCE) as answer:
            return json.load(answer)

    try:
        token = call("/auth/token", {"username": at.user, "password": at.password})["access_token"]
        errors = call("/api/v2/importErrors?limit=100", token=token)["import_errors"]
    except (OSError, ValueError, KeyError) as error:
        if isinstance(getattr(error, "reason", error), TimeoutError):
            return [], f"the API server did not answer within {API_PATIENCE} s, so whether all load is not known"
        return [], f"the API server did not say whether all load: {type(error).__name__}: {error}"
    found = [{"file": each["filename"], "error": each["stack_trace"].strip().splitlines()[-1]} for each in errors]
    return found, None


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

    PG* variables of your shell are not used.

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
        # The caller's PGSERVICE or PGHOSTADDR would lead to a database of theirs.
        **{key: value for key, value in os.environ.items() if not key.startswith("PG")},
        "PGHOST": endpoint.direct.host,
        "PGPORT": str(endpoint.direct.port),
        "PGUSER": endpoint.admin_user,
        "PGPASSWORD": endpoint.admin_password,
        "PGDATABASE": endpoint.database,
    }
    console.file.flush()
    os.execve(program, [program, *context.args], variables)
